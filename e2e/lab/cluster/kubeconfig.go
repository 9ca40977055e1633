package cluster

// The lab's users and their kubeconfigs. Only admin may do anything; what the other two may
// do is deliberately left to the tests, which grant it by RBAC.

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

const apiAddress = "127.0.0.1:6443"

// users are written to tokens.csv, and each gets a kubeconfig-NAME. Tidegate's is the service account of its chart.
var users = []struct{ name, username, groups string }{
	{name: "admin", username: "admin", groups: "system:masters"},
	{name: "tidegate", username: "system:serviceaccount:tidegate-system:tidegate", groups: "system:serviceaccounts,system:serviceaccounts:tidegate-system"},
	{name: "owner", username: "owner"},
}

func writeUsers(plan Plan) error {
	var lines strings.Builder
	for _, user := range users {
		token := rand.Text()
		fmt.Fprintf(&lines, "%s,%s,%s,%q\n", token, user.username, user.name, user.groups)
		if err := os.WriteFile(plan.path("token-"+user.name), []byte(token), 0o600); err != nil {
			return fmt.Errorf("failed to write a token: %w", err)
		}
		if err := writeKubeconfig(plan, user.name, plan.path("kubeconfig-"+user.name), apiAddress); err != nil {
			return err
		}
	}
	if err := os.WriteFile(plan.path("tokens.csv"), []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("failed to write the tokens: %w", err)
	}
	return nil
}

// writeKubeconfig is also used for the address that is forwarded outside.
func writeKubeconfig(plan Plan, user, path, address string) error {
	token, err := os.ReadFile(plan.path("token-" + user))
	if err != nil {
		return fmt.Errorf("failed to read a token: %w", err)
	}
	authority, err := os.ReadFile(plan.path("ca.crt"))
	if err != nil {
		return fmt.Errorf("failed to read the authority: %w", err)
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: https://%s
    certificate-authority-data: %s
users:
- name: %s
  user:
    token: %s
contexts:
- name: lab
  context: {cluster: lab, user: %s}
current-context: lab
`, address, base64.StdEncoding.EncodeToString(authority), user, token, user)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("failed to write a kubeconfig: %w", err)
	}
	return nil
}
