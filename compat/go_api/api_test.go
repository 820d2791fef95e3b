// Consul's own Go client against an agent whose address is in CONSUL_HTTP_ADDR.
package goapi

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

const patience = 20 * time.Second

func connect(t *testing.T) *api.Client {
	t.Helper()
	if os.Getenv("CONSUL_HTTP_ADDR") == "" {
		t.Fatal("CONSUL_HTTP_ADDR is not set")
	}
	client, err := api.NewClient(api.DefaultConfig())
	check(t, err)
	return client
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s: %v, not %v", what, got, want)
	}
}

func TestKeys(t *testing.T) {
	kv := connect(t).KV()
	defer kv.DeleteTree("go/keys", nil)
	_, err := kv.Put(&api.KVPair{Key: "go/keys/a", Value: []byte("1"), Flags: 42}, nil)
	check(t, err)
	pair, meta, err := kv.Get("go/keys/a", nil)
	check(t, err)
	expect(t, "value", string(pair.Value), "1")
	expect(t, "flags", pair.Flags, 42)
	expect(t, "known leader", meta.KnownLeader, true)
	expect(t, "index", meta.LastIndex, pair.ModifyIndex)
	none, _, err := kv.Get("go/keys/none", nil)
	check(t, err)
	if none != nil {
		t.Fatalf("a key that is not there: %v", none)
	}
	ok, _, err := kv.CAS(&api.KVPair{Key: "go/keys/a", Value: []byte("2"), ModifyIndex: pair.ModifyIndex - 1}, nil)
	check(t, err)
	expect(t, "check and set with an old index", ok, false)
	ok, _, err = kv.CAS(&api.KVPair{Key: "go/keys/a", Value: []byte("2"), ModifyIndex: pair.ModifyIndex}, nil)
	check(t, err)
	expect(t, "check and set", ok, true)
	_, err = kv.Put(&api.KVPair{Key: "go/keys/b/c", Value: nil}, nil)
	check(t, err)
	keys, _, err := kv.Keys("go/keys/", "/", nil)
	check(t, err)
	expect(t, "keys", keys, []string{"go/keys/a", "go/keys/b/"})
	pairs, _, err := kv.List("go/keys/", &api.QueryOptions{RequireConsistent: true})
	check(t, err)
	expect(t, "pairs", len(pairs), 2)
	_, err = kv.DeleteTree("go/keys/", nil)
	check(t, err)
	pairs, _, err = kv.List("go/keys/", &api.QueryOptions{AllowStale: false})
	check(t, err)
	expect(t, "pairs after the delete", len(pairs), 0)
}

func TestWaitingForAKey(t *testing.T) {
	kv := connect(t).KV()
	defer kv.Delete("go/wait", nil)
	_, err := kv.Put(&api.KVPair{Key: "go/wait", Value: []byte("1")}, nil)
	check(t, err)
	_, meta, err := kv.Get("go/wait", nil)
	check(t, err)
	found := make(chan string, 1)
	go func() {
		pair, _, err := kv.Get("go/wait", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: patience})
		if err != nil || pair == nil {
			found <- fmt.Sprint(pair, err)
			return
		}
		found <- string(pair.Value)
	}()
	_, err = kv.Put(&api.KVPair{Key: "go/wait", Value: []byte("2")}, nil)
	check(t, err)
	expect(t, "what the waiting read saw", <-found, "2")
}

func TestTransactions(t *testing.T) {
	client := connect(t)
	defer client.KV().DeleteTree("go/txn", nil)
	ok, answer, _, err := client.KV().Txn(api.KVTxnOps{
		{Verb: api.KVSet, Key: "go/txn/a", Value: []byte("1")},
		{Verb: api.KVGet, Key: "go/txn/a"},
	}, nil)
	check(t, err)
	expect(t, "transaction", ok, true)
	expect(t, "value read", string(answer.Results[1].Value), "1")
	ok, answer, _, err = client.KV().Txn(api.KVTxnOps{
		{Verb: api.KVSet, Key: "go/txn/b", Value: []byte("1")},
		{Verb: api.KVCheckNotExists, Key: "go/txn/a"},
	}, nil)
	check(t, err)
	expect(t, "transaction that fails", ok, false)
	expect(t, "failing operation", answer.Errors[0].OpIndex, 1)
	pair, _, err := client.KV().Get("go/txn/b", nil)
	check(t, err)
	if pair != nil {
		t.Fatal("half of a transaction was carried out")
	}
}

func TestSessions(t *testing.T) {
	client := connect(t)
	id, _, err := client.Session().Create(&api.SessionEntry{Name: "go", TTL: "30s", LockDelay: time.Millisecond, Behavior: "delete"}, nil)
	check(t, err)
	entry, _, err := client.Session().Info(id, nil)
	check(t, err)
	expect(t, "name", entry.Name, "go")
	expect(t, "TTL", entry.TTL, "30s")
	renewed, _, err := client.Session().Renew(id, nil)
	check(t, err)
	expect(t, "renewed", renewed.ID, id)
	got, _, err := client.KV().Acquire(&api.KVPair{Key: "go/session", Session: id}, nil)
	check(t, err)
	expect(t, "acquired", got, true)
	_, err = client.Session().Destroy(id, nil)
	check(t, err)
	pair, _, err := client.KV().Get("go/session", nil)
	check(t, err)
	if pair != nil {
		t.Fatalf("the key outlived its session: %v", pair)
	}
	gone, _, err := client.Session().Renew(id, nil)
	check(t, err)
	if gone != nil {
		t.Fatal("a session that was destroyed could be renewed")
	}
}

func TestLockPassesOn(t *testing.T) {
	client := connect(t)
	defer client.KV().Delete("go/lock", nil)
	first, err := client.LockKey("go/lock")
	check(t, err)
	lost, err := first.Lock(nil)
	check(t, err)
	if lost == nil {
		t.Fatal("the lock was not taken")
	}
	second, err := client.LockOpts(&api.LockOptions{Key: "go/lock", LockTryOnce: true, LockWaitTime: 200 * time.Millisecond})
	check(t, err)
	taken, err := second.Lock(nil)
	check(t, err)
	if taken != nil {
		t.Fatal("two hold the lock")
	}
	check(t, first.Unlock())
	third, err := client.LockKey("go/lock")
	check(t, err)
	lost, err = third.Lock(nil)
	check(t, err)
	// Whoever takes the key away takes the lock.
	_, err = client.KV().Delete("go/lock", nil)
	check(t, err)
	select {
	case <-lost:
	case <-time.After(patience):
		t.Fatal("the holder did not learn that the lock was lost")
	}
	_ = third.Unlock()
}

func TestSemaphoreLetsTwoIn(t *testing.T) {
	client := connect(t)
	defer client.KV().DeleteTree("go/semaphore", nil)
	var inside, most int
	var guard sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			semaphore, err := client.SemaphorePrefix("go/semaphore", 2)
			if err == nil {
				_, err = semaphore.Acquire(nil)
			}
			if err != nil {
				t.Error(err)
				return
			}
			guard.Lock()
			inside++
			most = max(most, inside)
			guard.Unlock()
			time.Sleep(100 * time.Millisecond)
			guard.Lock()
			inside--
			guard.Unlock()
			if err := semaphore.Release(); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	if most < 1 || most > 2 {
		t.Fatalf("%d were inside at once", most)
	}
}

func TestServicesAndChecks(t *testing.T) {
	client := connect(t)
	agent := client.Agent()
	check(t, agent.ServiceRegister(&api.AgentServiceRegistration{
		ID: "go-1", Name: "go-web", Port: 80, Tags: []string{"a"}, Check: &api.AgentServiceCheck{TTL: "60s"},
	}))
	defer agent.ServiceDeregister("go-1")
	services, err := agent.Services()
	check(t, err)
	expect(t, "port", services["go-1"].Port, 80)
	entries, _, err := client.Health().Service("go-web", "a", true, nil)
	check(t, err)
	expect(t, "passing instances of a critical service", len(entries), 0)
	check(t, agent.UpdateTTL("service:go-1", "fine", api.HealthPassing))
	entries, _, err = client.Health().Service("go-web", "a", true, nil)
	check(t, err)
	expect(t, "passing instances", len(entries), 1)
	expect(t, "output", entries[0].Checks.AggregatedStatus(), api.HealthPassing)
	check(t, agent.EnableServiceMaintenance("go-1", "why"))
	_, health, err := agent.AgentHealthServiceByID("go-1")
	check(t, err)
	expect(t, "status in maintenance", health.AggregatedStatus, api.HealthMaint)
	check(t, agent.DisableServiceMaintenance("go-1"))
	check(t, agent.ServiceDeregister("go-1"))
	found, _, err := client.Catalog().Service("go-web", "", nil)
	check(t, err)
	expect(t, "instances after deregistration", len(found), 0)
}

func TestEvents(t *testing.T) {
	event := connect(t).Event()
	id, _, err := event.Fire(&api.UserEvent{Name: "go-event", Payload: []byte("x")}, nil)
	check(t, err)
	deadline := time.Now().Add(patience)
	for {
		events, meta, err := event.List("go-event", nil)
		check(t, err)
		if len(events) == 1 {
			expect(t, "id", events[0].ID, id)
			expect(t, "index", meta.LastIndex, event.IDToIndex(id))
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the event did not arrive")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestFactsAboutTheCluster(t *testing.T) {
	client := connect(t)
	leader, err := client.Status().Leader()
	check(t, err)
	peers, err := client.Status().Peers()
	check(t, err)
	expect(t, "peers", len(peers), 1)
	expect(t, "leader", leader, peers[0])
	self, err := client.Agent().Self()
	check(t, err)
	expect(t, "server", self["Config"]["Server"], true)
	name, err := client.Agent().NodeName()
	check(t, err)
	node, _, err := client.Catalog().Node(name, nil)
	check(t, err)
	expect(t, "node", node.Node.Node, name)
	members, err := client.Agent().Members(false)
	check(t, err)
	expect(t, "members", len(members), 1)
	configuration, err := client.Operator().RaftGetConfiguration(nil)
	check(t, err)
	expect(t, "leader in the Raft configuration", configuration.Servers[0].Leader, true)
}
