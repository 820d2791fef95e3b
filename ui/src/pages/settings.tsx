// Choices that this browser keeps, and the token.
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { call, errorText } from "../api";
import { setPaused } from "../live";
import { forgetPlaces } from "../places";
import { checklist, codeSize, dockerPrefix, expectedEngines, liveDefault, loginOpen, setToken, shortcuts, startPage, theme, token, tokenKept, wrap } from "../settings";
import { Button, Dialog, Notice, PageHead, toast } from "../ui";

export function SettingsPage(): JSX.Element {
  return (
    <>
      <PageHead title="Settings" />
      <p class="hint">Kept in this browser only.</p>
      <div class="settings">
        <Choice label="Colours" value={theme} options={[["system", "as the system"], ["light", "light"], ["dark", "dark"]]} />
        <Choice label="Pages follow changes" value={liveDefault} options={[["on", "live"], ["off", "paused"]]} onChange={(value) => setPaused(value === "off")} />
        <Choice label="Keyboard shortcuts" value={shortcuts} options={[["on", "on"], ["off", "off"]]} />
        <Choice label="Long lines of values" value={wrap} options={[["on", "wrap"], ["off", "scroll"]]} />
        <Choice label="Letters of values" value={codeSize} options={[["normal", "normal"], ["large", "large"]]} />
        <Choice label="First page" value={startPage} options={[["overview", "overview"], ["services", "services, as in Consul"]]} />
        <Choice label="Steps to overlay networks on the overview" value={checklist} options={[["on", "until they are done"], ["off", "never"]]} />
        <label class="field">
          <span>Docker engines that should be there</span>
          <input inputMode="numeric" value={expectedEngines.value} placeholder="as many as there are members" onInput={(event) => { expectedEngines.value = event.currentTarget.value.replace(/\D/g, ""); }} />
        </label>
        <label class="field">
          <span>Docker's keys are below</span>
          <input value={dockerPrefix.value} placeholder="docker/ (looked for)" spellcheck={false} onInput={(event) => { dockerPrefix.value = event.currentTarget.value.trim(); }} />
        </label>
      </div>
      <h2>Token</h2>
      <p>{token.value ? `All requests carry a token, ${tokenKept.value ? "kept in this browser" : "for this tab only"}.` : "Requests carry no token."}</p>
      <p class="actions">
        <Button icon="user" onClick={() => { loginOpen.value = true; }}>{token.value ? "Use another token" : "Log in with a token"}</Button>
        {token.value && <Button onClick={() => { setToken("", false); toast("Logged out"); }}>Log out</Button>}
      </p>
      <h2>Reset</h2>
      <p class="actions"><Button onClick={() => { forgetPlaces(); toast("Bookmarks and recent keys are forgotten"); }}>Forget bookmarks and recent keys</Button> <Button onClick={reset}>Reset all settings</Button></p>
    </>
  );
}

function reset(): void {
  theme.value = "system";
  liveDefault.value = "on";
  shortcuts.value = "on";
  wrap.value = "on";
  codeSize.value = "normal";
  startPage.value = "overview";
  checklist.value = "on";
  expectedEngines.value = "";
  forgetPlaces();
  dockerPrefix.value = "";
  setPaused(false);
  toast("All settings are as they were at first");
}

function Choice({ label, value, options, onChange }: { label: string; value: Signal<string>; options: [string, string][]; onChange?: (value: string) => void }): JSX.Element {
  return (
    <fieldset class="choice">
      <legend>{label}</legend>
      {options.map(([id, text]) => (
        <label class="check" key={id}>
          <input type="radio" name={label} checked={value.value === id} onChange={() => { value.value = id; onChange?.(id); }} />
          {text}
        </label>
      ))}
    </fieldset>
  );
}

export function TokenDialog({ onClose }: { onClose: () => void }): JSX.Element {
  const [secret, setSecret] = useState("");
  const [keep, setKeep] = useState(false);
  const [error, setError] = useState("");
  const check = async () => {
    const before = token.peek();
    const kept = tokenKept.peek();
    setToken(secret, false);
    try {
      // 401: ACLs are off, so any token does; 404: this agent has no such endpoint.
      const { status } = await call("GET", "acl/token/self", { accept: [401, 403, 404] });
      if (status === 403) throw new Error("The agent does not know this token");
      setToken(secret, keep);
      toast(status === 200 ? "Logged in" : "The token is set; this agent does not check tokens");
      onClose();
    } catch (problem) {
      setToken(before, kept);
      setError(errorText(problem));
    }
  };
  return (
    <Dialog title="Log in with a token" onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); void check(); }}>
        <div class="dialog-body">
          <label class="field"><span>Secret ID</span><input type="password" value={secret} onInput={(event) => setSecret(event.currentTarget.value.trim())} autocomplete="off" /></label>
          <label class="check"><input type="checkbox" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />Keep it in this browser after the tab is closed</label>
          {error && <Notice level="bad" title={error} />}
        </div>
        <div class="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" disabled={secret === ""} onClick={() => void check()}>Log in</Button>
        </div>
      </form>
    </Dialog>
  );
}
