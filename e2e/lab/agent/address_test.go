package agent

import "testing"

func TestAddressesAreNotReusedBeforeTheNetworkIsWalked(t *testing.T) {
	all, err := newAddresses("10.0.0.0/29", "10.0.0.1") // 2 to 7 are left
	if err != nil {
		t.Fatal(err)
	}
	first := mustTake(t, all)
	if first != "10.0.0.2" {
		t.Fatalf("first is %s", first)
	}
	all.release(first)
	for _, want := range []string{"10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.2"} {
		if got := mustTake(t, all); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAddressesRunOut(t *testing.T) {
	all, err := newAddresses("10.0.0.0/30", "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	mustTake(t, all)
	mustTake(t, all)
	if address, err := all.take(); err == nil {
		t.Errorf("a full network gives %s", address)
	}
	all.release("10.0.0.3")
	if got := mustTake(t, all); got != "10.0.0.3" {
		t.Errorf("got %s, want the one that was released", got)
	}
}

func mustTake(t *testing.T, all *addresses) string {
	t.Helper()
	address, err := all.take()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func TestAClaimedAddressIsNotHandedOut(t *testing.T) {
	all, err := newAddresses("10.0.0.0/29", "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if !all.claim("10.0.0.2") || all.claim("10.0.0.2") || all.claim("10.1.0.2") {
		t.Error("only a free address of the network can be claimed, and only once")
	}
	if got := mustTake(t, all); got != "10.0.0.3" {
		t.Errorf("got %s, want the one after the claimed", got)
	}
}
