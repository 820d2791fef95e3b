// What the npm client does: node checks.js HOST PORT, with the client in node_modules of the working folder.
"use strict";

const assert = require("node:assert");
const path = require("node:path");
const { createRequire } = require("node:module");

const Consul = createRequire(path.join(process.cwd(), "x.js"))("consul");
const [host, port] = process.argv.slice(2);
const client = new Consul({ host, port: Number(port) });

const checks = {
  async keys() {
    assert.strictEqual(await client.kv.set("js/a", "1"), true);
    const entry = await client.kv.get("js/a");
    assert.strictEqual(entry.Value, "1");
    // The client makes undefined of an answer that is false.
    assert.ok(!(await client.kv.set({ key: "js/a", value: "2", cas: "0" })));
    assert.strictEqual(await client.kv.set({ key: "js/a", value: "2", cas: String(entry.ModifyIndex) }), true);
    assert.deepStrictEqual(await client.kv.keys("js/"), ["js/a"]);
    await client.kv.del({ key: "js/", recurse: true });
    assert.strictEqual(await client.kv.get("js/a"), undefined);
  },

  async sessions() {
    const { ID } = await client.session.create({ name: "js", ttl: "10s", lockdelay: "0s", behavior: "delete" });
    const shown = await client.session.get(ID);
    assert.strictEqual(shown.Name, "js");
    assert.strictEqual((await client.session.renew(ID))[0].ID, ID);
    assert.strictEqual(await client.kv.set({ key: "js/held", value: "x", acquire: ID }), true);
    const other = await client.session.create({ ttl: "10s" });
    assert.ok(!(await client.kv.set({ key: "js/held", value: "y", acquire: other.ID })));
    await client.session.destroy(ID);
    assert.strictEqual(await client.kv.get("js/held"), undefined);
    await client.session.destroy(other.ID);
  },

  async transactions() {
    const Value = Buffer.from("v").toString("base64");
    const answer = await client.transaction.create([
      { KV: { Verb: "set", Key: "js/txn", Value } },
      { KV: { Verb: "get", Key: "js/txn" } },
    ]);
    assert.strictEqual(answer.Results[1].KV.Value, Value);
    await assert.rejects(client.transaction.create([{ KV: { Verb: "check-not-exists", Key: "js/txn" } }]));
    await client.kv.del("js/txn");
  },

  async services() {
    await client.agent.service.register({ name: "js-web", id: "js-1", port: 80, check: { ttl: "60s" } });
    assert.strictEqual((await client.agent.services())["js-1"].Port, 80);
    await client.agent.check.pass("service:js-1");
    const found = await client.health.service({ service: "js-web", passing: true });
    assert.strictEqual(found.length, 1);
    await client.agent.service.deregister("js-1");
    assert.deepStrictEqual(await client.catalog.service.nodes("js-web"), []);
  },

  async watching() {
    await client.kv.set("js/watched", "first");
    const watch = client.watch({ method: client.kv.get, options: { key: "js/watched", wait: "20s" } });
    try {
      const seen = [];
      await new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`saw only ${seen}`)), 20000);
        watch.on("error", reject);
        watch.on("change", (entry) => {
          seen.push(entry.Value);
          if (entry.Value === "first") client.kv.set("js/watched", "second").catch(reject);
          if (entry.Value === "second") {
            clearTimeout(late);
            resolve();
          }
        });
      });
    } finally {
      watch.end();
    }
    await client.kv.del("js/watched");
  },

  async facts() {
    assert.ok((await client.status.peers()).includes(await client.status.leader()));
    assert.deepStrictEqual(await client.catalog.datacenters(), ["dc1"]);
    assert.strictEqual((await client.agent.members()).length, 1);
    await client.event.fire("js-event", "hello");
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(`${name}: holds`);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
