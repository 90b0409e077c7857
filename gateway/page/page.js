"use strict";
// Whatever comes from the gateway is only ever set as text; the page's policy forbids to make markup of a string.
const STEPS = [["research"], ["generator", "fixtures"], ["tester"], ["test_reviewer"], ["reviewer"], ["publisher"]];
const OPENS = new Map(Object.entries({                 // who owes an answer to a fact
  "pipeline.submitted": ["research"], "research.completed": ["generator", "fixtures"],
  "tests.passed": ["test_reviewer"], "tests.failed": ["test_reviewer"], "research.requested": ["research"],
  "generation.requested": ["generator"], "fixtures.requested": ["fixtures"], "tests.requested": ["tester"],
  "test_review.requested": ["test_reviewer"], "review.requested": ["reviewer"], "publish.requested": ["publisher"],
}));
const FINAL = new Set(["pipeline.completed", "pipeline.failed", "pipeline.cancelled"]);
const BAD = new Set(["tests.failed", "review.rejected", "agent.failed", "pipeline.failed"]);
const count = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;
const tests = (d) => `${d.mode}: ${d.passed} passed, ${d.failed} failed`;
const outcome = (d) => [d.outcome, d.version, d.degraded?.length && "degraded: " + d.degraded.join(", ")];
const SAID = new Map(Object.entries({                  // what a fact says; others are told field by field
  "pipeline.submitted": (d) => [d.spec_url || (d.document ? "an uploaded document" : "no document"), "engine " + d.engine],
  "research.completed": (d) => [count(d.streams, "stream"), d.gaps && count(d.gaps, "gap")],
  "connector.generated": (d) => [d.mode, d.degraded?.length && "without " + d.degraded.join(", ")],
  "fixtures.created": () => ["the simulated API is built"],
  "tests.passed": (d) => [tests(d)], "tests.failed": (d) => [tests(d)],
  "tests.reviewed": (d) => [d.verdict, `${d.streams_proven} of ${d.streams_total} streams proven`, d.reason],
  "review.approved": (d) => ["score " + d.score],
  "review.rejected": (d) => ["score " + d.score, d.critical && `${d.critical} critical`, "blames " + d.blame, d.reason],
  "connector.published": (d) => ["version " + d.version],
  "agent.failed": (d) => [d.what, d.where && "at " + d.where, d.kind, "attempt " + d.attempt],
  "publish.requested": outcome, "pipeline.completed": outcome,
  "approval.requested": (d) => d.about === "budget" ? ["more budget for model turns"] : outcome(d),
  "pipeline.failed": (d) => [d.reason, d.where && "at " + d.where],
}));
const ASKED = {                                         // yes, no, and what is asked before no is said
  publish: ["Publish", "Do not publish", "End this pipeline without publishing?"],
  budget: ["Spend more", "Spend no more", "End this pipeline without spending more on model turns?"],
};
const $ = (id) => document.getElementById(id);
let view = null, listed = null, pages = 1, asking = null;

function el(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  if (className) node.className = className;
  return node;
}
const joined = (parts) => parts.filter(Boolean).join(" · ");
const notice = (error) => { $("notice").textContent = error ? error.message : ""; };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function said({ type, data }) {
  const own = SAID.get(type);
  if (own) return joined(own(data));
  return joined(Object.entries(data).filter(([key, value]) => value !== null && typeof value !== "object" &&
    !["policy_hash", "code_version", "timer", "request"].includes(key) && !(key === "attempt" && value === 1))
    .map(([key, value]) => key === "mode" ? value : key + " " + value));
}

function token() {                                     // asked for once, however many requests wait for it
  asking ??= new Promise((resolve) => {
    $("login").hidden = false;
    $("token").focus();
    $("login").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem("token", $("token").value);
      $("login").reset(); $("login").hidden = true; asking = null;
      resolve();
    };
  });
  return asking;
}

async function call(path, options = {}) {
  const known = sessionStorage.getItem("token");
  const headers = { ...options.headers, ...(known && { Authorization: "Bearer " + known }) };
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.status === 401) {
    if (known === sessionStorage.getItem("token")) await token();      // else it was given in the meantime
    return call(path, options);
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail || "the gateway answered " + answer.status), { status: answer.status });
  }
  return answer;
}

async function showList() {
  try {
    const found = [];
    let next = "/pipelines?limit=50";
    for (let page = 0; next && page < pages; page++) {
      const answer = await (await call(next)).json();
      found.push(...answer.pipelines); next = answer.next;
    }
    $("more").hidden = !next;
    notice();
    const now = JSON.stringify([found, view?.id]);
    if (now === listed) return;                        // nothing moves under a pointer or a screen reader
    listed = now;
    const focused = document.activeElement?.hash;
    $("list").replaceChildren(...found.map(line), ...(found.length ? [] : [el("li", "No pipelines yet.", "soft")]));
    if (focused) [...$("list").querySelectorAll("a")].find((link) => link.hash === focused)?.focus();
  } catch (error) { notice(error); }
}

function line({ pipeline }) {
  const link = el("a"), item = el("li");
  link.href = "#" + pipeline.id;
  if (pipeline.id === view?.id) link.setAttribute("aria-current", "page");
  const when = new Date(pipeline.submitted).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  link.append(el("b", pipeline.name || "?"), el("span", pipeline.status, pipeline.status),
    el("small", joined([when, pipeline.version, count(pipeline.position, "fact")])));
  item.append(link);
  return item;
}

class Step {
  constructor(name) {
    this.answers = 0;
    this.node = el("div", null, "step");
    this.state = el("span", "waiting"); this.text = el("small"); this.bar = el("progress");
    this.bar.hidden = true; this.bar.setAttribute("aria-label", name);
    this.node.append(el("b", name.replace("_", " ")), this.state, this.bar, this.text);
  }
  become(className, state, text) {
    this.node.className = "step " + className; this.state.textContent = state; this.bar.hidden = true;
    this.running = className === "running";
    if (text !== undefined) this.text.textContent = this.text.title = text;
  }
  idle() { this.become("", this.answers ? "again later" : "waiting", ""); }
  run({ mode, attempt }) {
    this.become("running", joined(["running", this.answers && `round ${this.answers + 1}`]),
      joined([mode, attempt > 1 && "attempt " + attempt]));
  }
  answer(event) {
    const failed = event.type === "agent.failed", bad = BAD.has(event.type) || /FAIL|INVALID/.test(event.data.verdict);
    if (!failed) this.answers += 1;
    this.become(bad ? "bad" : "done", joined([bad ? event.type.split(".")[1] : "done",
      this.answers > 1 && `round ${this.answers}`]), said(event));
  }
  progress({ message, done, total }) {
    if (!this.running) return;                         // said before, arrived after the answer
    this.text.textContent = this.text.title = joined([message, total && `${done}/${total}`]);
    this.bar.hidden = !total;
    if (total) { this.bar.max = total; this.bar.value = done; }
  }
}

class View {
  constructor(id) {
    this.id = id; this.last = 0; this.stop = new AbortController(); this.steps = new Map();
    this.title = el("h2"); this.status = el("p", null, "facts"); this.more = el("div");
    this.actions = el("div", null, "row"); this.files = el("div", null, "row"); this.rows = el("tbody");
    this.status.setAttribute("role", "status");
    const steps = el("ol"), table = el("table"), heads = el("tr"), top = el("thead");
    steps.id = "steps"; steps.setAttribute("aria-label", "Steps");
    for (const group of STEPS) {
      const item = el("li");
      for (const name of group) { this.steps.set(name, new Step(name)); item.append(this.steps.get(name).node); }
      steps.append(item);
    }
    for (const [head, className] of [["#", "wide"], ["after"], ["who", "wide"], ["fact"], ["what it says"]]) {
      const cell = el("th", head, className); cell.scope = "col"; heads.append(cell);
    }
    top.append(heads); table.append(top, this.rows);
    $("detail").replaceChildren(this.title, this.status, this.more, this.actions, this.files, steps,
      el("h3", "Facts, newest first"), table);
  }

  async refresh() {
    const now = await (await call("/pipelines/" + this.id)).json();
    if (this.stop.signal.aborted || now.position < this.last) return;      // older than what is shown
    document.title = `${now.name}: ${now.status}`;
    this.title.textContent = "source-" + now.name;
    const cancelling = now.cancel_requested && now.status === "running";
    const more = now.approval_about === "budget" ? " to spend more" : "";
    const facts = joined([cancelling && "cancel requested", now.approval && "waits for your approval" + more,
      now.spent_usd && `${now.spent_usd.toFixed(2)} of ${now.budget_usd.toFixed(2)} USD spent`,
      now.parent && `forked from ${now.parent.slice(0, 8)} at ${now.forked_at}`, now.imported && "imported",
      now.version && "version " + now.version, now.streams && count(now.streams, "stream"),
      now.coverage !== null && `${now.coverage} % proven`, now.score !== null && "review score " + now.score,
      "engine " + now.engine]);
    this.status.replaceChildren(el("b", now.status, now.status), " · " + facts);
    this.more.replaceChildren(...(now.reason ? [el("p", now.reason, "reason")] : []),
      ...names(now.degraded, "left out of the connector"), ...names(now.unproven, "not proven by the last test run"));
    this.offer(now);
    if (now.version && !this.files.firstChild)
      await this.link(now).catch((error) => this.files.append(el("span", error.message, "soft")));
  }

  offer(now) {
    const live = now.status === "running" || now.status === "paused";
    const [yes, no, question] = ASKED[now.approval_about] ?? [];
    const wanted = !live || now.cancel_requested ? [] : [
      ...(now.approval ? [[yes, "approval", null, { request: now.approval, decision: "granted" }],
        [no, "approval", question, { request: now.approval, decision: "denied" }]] : []),
      now.status === "paused" ? ["Resume", "resume"] : ["Pause", "pause"],
      ["Cancel", "cancel", `Cancel source-${now.name}? Running work stops and the pipeline ends.`]];
    const key = JSON.stringify(wanted);
    if (key === this.offered) return;
    this.offered = key;
    this.actions.replaceChildren(...wanted.map(([label, path, question, body]) => {
      const button = el("button", label);
      button.type = "button";
      const request = { method: "POST", ...(body && { body: JSON.stringify(body),
        headers: { "Content-Type": "application/json" } }) };
      button.onclick = () => (!question || confirm(question)) && call(`/pipelines/${this.id}/${path}`, request)
        .then(() => this.refresh()).catch(notice);
      return button;
    }));
  }

  async link(now) {
    this.files.append(el("b", "Files"));
    const { versions } = await (await call(`/connectors/${now.name}/${now.version}`)).json();
    const { wheel, sdist, report, review } = versions[0].links;
    for (const [label, path] of Object.entries({ wheel, sdist, "test report": report, review })) {
      const link = el("a", label);
      link.href = path; link.download = "";
      link.onclick = (event) => {
        if (!sessionStorage.getItem("token")) return;
        event.preventDefault(); download(path).catch(notice);
      };
      this.files.append(link);
    }
  }

  fact(id, event) {
    this.last = Number(id);
    if (event.type === "pipeline.forked") this.start = undefined;      // what it shares was long before
    this.start ??= new Date(event.time);
    const after = ((new Date(event.time) - this.start) / 1000).toFixed(1) + " s";
    const row = el("tr");
    row.append(el("td", id, "wide soft"), el("td", after, "soft"), el("td", event.source, "wide"),
      el("td", event.type, BAD.has(event.type) ? "bad" : ""), el("td", said(event)));
    this.rows.prepend(row);
    this.steps.get(event.data.service ?? event.source)?.answer(event);
    for (const service of OPENS.get(event.type) ?? []) this.open(service, event);
    if (!FINAL.has(event.type)) return;
    this.ended = true;
    for (const step of this.steps.values()) if (step.running) step.become("", "stopped");
  }

  open(service, event) {                               // whatever comes after it was made for the round before
    this.steps.get(service).run(event.data);
    const at = STEPS.findIndex((group) => group.includes(service));
    for (const name of STEPS.slice(at + 1).flat()) this.steps.get(name).idle();
  }

  async watch() {                                      // fetch and not EventSource: that one cannot send a token
    for (let wait = 500; !this.ended && !this.stop.signal.aborted; wait = Math.min(2 * wait, 10000)) {
      try {
        const answer = await call(`/pipelines/${this.id}/live`,
          { signal: this.stop.signal, headers: { "Last-Event-ID": String(this.last) } });
        if (answer.status === 204) break;
        for await (const { event, id, data } of events(answer.body)) {
          wait = 500;
          if (event === "fact") { this.fact(id, JSON.parse(data)); this.soon(); }
          if (event === "progress") { const told = JSON.parse(data); this.steps.get(told.service)?.progress(told); }
        }
      } catch (error) {
        if (this.stop.signal.aborted) return;
        if (error.status === 404) { $("detail").replaceChildren(el("p", error.message, "reason")); return; }
        notice(error);
      }
      if (!this.ended) await pause(wait);
    }
    if (!this.stop.signal.aborted) { await this.refresh().catch(notice); showList(); }
  }

  soon() {                                             // many facts at once are one refresh
    this.timer ??= setTimeout(() => { this.timer = null; this.refresh().catch(notice); }, 150);
  }
}

function names(streams, what) {
  if (!streams.length) return [];
  const box = el("details");
  box.open = streams.length <= 20;
  box.append(el("summary", `${count(streams.length, "stream")} ${what}`, "wait"), el("span", streams.join(", ")));
  return [box];
}

async function download(path) {                        // a link cannot send a token
  const link = el("a");
  link.href = URL.createObjectURL(await (await call(path)).blob());
  link.download = path.split("/").pop();
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function* events(body) {                         // server-sent events
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let buffer = "";;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value.replaceAll("\r", "");
    for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
      const found = { event: "message", id: "", data: "" };
      for (const text of buffer.slice(0, end).split("\n")) {
        const [, field, rest] = /^(event|id|data): ?(.*)$/.exec(text) || [];
        if (field) found[field] = rest;
      }
      yield found;
    }
  }
}

function choose() {
  const id = location.hash.slice(1);
  if (view && id === view.id) return;
  view?.stop.abort();
  view = /^[0-9a-f]{32}$/.test(id) ? new View(id) : null;
  document.body.classList.toggle("chosen", Boolean(view));
  if (view) {
    view.watch();
  } else {
    document.title = "Agentic Connectors";
    $("detail").replaceChildren($("home").content.cloneNode(true));
    for (const node of document.querySelectorAll(".origin")) node.textContent = location.origin;
  }
  showList();
}

$("more").onclick = () => { pages += 1; showList(); };
addEventListener("hashchange", () => { choose(); $("detail").focus(); });
choose();
setInterval(() => { if (!document.hidden && !asking) showList(); }, 3000);
