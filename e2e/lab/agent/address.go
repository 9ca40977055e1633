package agent

// Pod addresses. It deliberately hands out an address again as late as it can: routers
// hold on to the address of a pod that is gone, and must find nobody there.

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

type addresses struct {
	mutex   sync.Mutex
	network netip.Prefix
	next    netip.Addr
	taken   map[netip.Addr]bool
}

func newAddresses(network string, reserved ...string) (*addresses, error) {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return nil, fmt.Errorf("failed to read the pod network: %w", err)
	}
	prefix = prefix.Masked()
	all := &addresses{network: prefix, next: prefix.Addr().Next(), taken: map[netip.Addr]bool{prefix.Addr(): true}}
	for _, text := range reserved {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("failed to read a reserved address: %w", err)
		}
		all.taken[address] = true
	}
	return all, nil
}

// take walks the whole network before it comes back to an address.
func (a *addresses) take() (string, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	first := a.next
	for {
		candidate := a.next
		a.next = a.next.Next()
		if !a.network.Contains(a.next) {
			a.next = a.network.Addr()
		}
		if !a.taken[candidate] {
			a.taken[candidate] = true
			return candidate.String(), nil
		}
		if a.next == first {
			return "", errors.New("no pod address is free")
		}
	}
}

// claim keeps the address of a pod that an earlier agent started; it reports whether it is free.
func (a *addresses) claim(text string) bool {
	address, err := netip.ParseAddr(text)
	if err != nil || !a.network.Contains(address) {
		return false
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.taken[address] {
		return false
	}
	a.taken[address] = true
	return true
}

func (a *addresses) release(text string) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return // the pod never had one
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	delete(a.taken, address)
}
