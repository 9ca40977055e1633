package cluster

// The keys of one lab: an authority, the API server's certificate and the key
// that signs service account tokens. Elliptic and version 3 with addresses as
// subject alternative names, because strict TLS clients accept nothing less.
// They deliberately live as long as the lab's folder and are never reused.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// writeCertificates writes ca.crt, server.crt, server.key, accounts.key and accounts.pub.
func writeCertificates(folder string, now time.Time) error {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("failed to make a key: %w", err)
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tidegate lab authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	authorityBytes, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	if err != nil {
		return fmt.Errorf("failed to sign the authority: %w", err)
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("failed to make a key: %w", err)
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
	}
	serverBytes, err := x509.CreateCertificate(rand.Reader, server, authority, &serverKey.PublicKey, authorityKey)
	if err != nil {
		return fmt.Errorf("failed to sign the server certificate: %w", err)
	}
	accountsKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("failed to make a key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&accountsKey.PublicKey)
	if err != nil {
		return fmt.Errorf("failed to encode a key: %w", err)
	}
	blocks := map[string]*pem.Block{
		"ca.crt":       {Type: "CERTIFICATE", Bytes: authorityBytes},
		"server.crt":   {Type: "CERTIFICATE", Bytes: serverBytes},
		"accounts.pub": {Type: "PUBLIC KEY", Bytes: public},
	}
	for name, key := range map[string]*ecdsa.PrivateKey{"server.key": serverKey, "accounts.key": accountsKey} {
		private, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return fmt.Errorf("failed to encode a key: %w", err)
		}
		blocks[name] = &pem.Block{Type: "EC PRIVATE KEY", Bytes: private}
	}
	for name, block := range blocks {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return fmt.Errorf("failed to write %s: %w", name, err)
		}
	}
	return nil
}
