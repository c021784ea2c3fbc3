// The live page: asks /api/v1 every two seconds and shows what it says. Everything from the database goes through
// textContent, never through HTML.
"use strict";

const POLL_MS = 2000;
const HISTORY_MAX = 120;
const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
let last = null;            // the newest status
let lagHistory = [];
let token = "";             // kept for this page only
let busy = false;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

async function call(path, body) {
  const options = { headers: {}, cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  if (token) options.headers["Authorization"] = "Bearer " + token;
  const answer = await fetch(path, options);
  const value = await answer.json();
  value.http = answer.status;
  return value;
}

async function poll() {
  try {
    const [status, found] = await Promise.all([call("/api/v1/status"), call("/api/v1/mismatches?limit=50")]);
    if (status.error) throw new Error(status.error);
    last = status;
    show(status);
    showMismatches(found.mismatches, found.error);
    pulse(true, "live, " + new Date(status.at * 1000).toLocaleTimeString());
  } catch (error) {
    pulse(false, "the agent does not answer: " + error.message);
  } finally {
    setTimeout(poll, POLL_MS);
  }
}

function pulse(live, text) {
  byId("pulse").className = "pulse " + (live ? "live" : "lost");
  byId("pulse").textContent = text;
}

function show(s) {
  byId("pair").textContent = s.sqlite_path + "  ↔  schema " + s.pair;
  const troubles = byId("troubles");
  troubles.hidden = s.troubles.length === 0;
  troubles.replaceChildren(...s.troubles.map((line) => element("p", "", line)));
  showFlow(s);
  showCards(s);
  showGates(s);
  showFlag(s);
}

function showFlow(s) {
  const back = s.primary === "postgres";
  side("sqlite", s, s.origin, "journal at " + number.format(s.origin.journal_position) + ", " + bytes(s.origin.journal_bytes) + " kept");
  side("postgres", s, s.target, s.target.applied_position === null ? "not backfilled yet" :
    "version " + Math.floor(s.target.server_version / 10000) + ", applied " + number.format(s.target.applied_position));
  document.querySelector(".arrow").classList.toggle("back", back);
  byId("arrow-head").textContent = back ? "◀" : "▶";
  byId("arrow-what").textContent = back ? "changes flow back" : "journal, applied in order";
  const lag = back ? s.target.reverse_pending : s.origin.lag_records;
  byId("arrow-lag").textContent = lag === null ? "lag not known" :
    back ? number.format(lag) + " changes not yet in SQLite" :
    number.format(lag) + " records, " + seconds(s.origin.lag_seconds || 0) + " behind";
  if (lag !== null) lagHistory = [...lagHistory, lag].slice(-HISTORY_MAX);
  spark();
}

function side(name, s, facts, detail) {
  const box = byId("side-" + name);
  box.className = "side" + (s.primary === name ? " primary" : "") + (facts.up ? "" : " down");
  box.querySelector(".role").textContent = !facts.up ? "cannot be used" :
    s.primary === name ? "primary: takes the app's writes" : s.primary ? "secondary: follows" : "a switch is not settled";
  box.querySelector(".detail").textContent = facts.up ? detail + ", epoch " + (facts.record ? facts.record.epoch + " " + facts.record.state : "?") : facts.error;
}

function spark() {
  const highest = Math.max(10, ...lagHistory);
  const step = 240 / (HISTORY_MAX - 1);
  const points = lagHistory.map((lag, i) => (240 - (lagHistory.length - 1 - i) * step).toFixed(1) + "," + (38 - (lag / highest) * 36).toFixed(1));
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points.join(" "));
  byId("spark").replaceChildren(line);
}

function showCards(s) {
  const reads = s.reads, shapes = s.target.shapes;
  const notComparable = Object.values(reads.not_comparable).reduce((sum, n) => sum + n, 0);
  const parity = reads.compared ? reads.matched / reads.compared : null;
  card("parity", parity === null ? "–" : percent(parity), "of compared reads are equal", parity === null ? "" : parity === 1 ? "good" : "bad");
  const share = reads.compared + notComparable ? notComparable / (reads.compared + notComparable) : 0;
  card("compared", number.format(reads.compared), percent(share) + " not comparable", share > 0.05 ? "warn" : "");
  card("coverage", shapes.seen ? shapes.compared + " / " + shapes.seen : "–",
    shapes.unsupported ? shapes.unsupported + " unsupported, " + shapes.waiting + " waiting" : shapes.waiting + " shapes waiting",
    shapes.unsupported ? "bad" : shapes.seen && !shapes.waiting ? "good" : "");
  card("mismatches", number.format(s.target.mismatches_unresolved), "shapes of reads", s.target.mismatches_unresolved ? "bad" : "good");
  const open = s.target.divergences_unresolved, dirty = s.target.dirty.length;
  card("divergences", number.format(open), dirty + " dirty tables", open || dirty ? "bad" : "good");
  const ages = s.target.verified.map((v) => v.age_seconds);
  const different = s.target.verified.reduce((sum, v) => sum + v.rows_different, 0);
  card("verify", ages.length ? seconds(Math.max(...ages)) : "never",
    ages.length ? number.format(different) + " rows differed, " + ages.length + " tables" : "run shadow verify", different ? "bad" : "");
}

function card(name, figure, note, mood) {
  const box = byId("card-" + name);
  box.className = "card " + mood;
  box.querySelector(".figure").textContent = figure;
  box.querySelector(".quiet").textContent = note;
}

function showGates(s) {
  const open = s.gates.filter((gate) => gate.open).length;
  byId("gates-count").textContent = open + " of " + s.gates.length + " open" + (s.primary === "postgres" ? " (they were for the cutover)" : "");
  byId("gates").replaceChildren(...s.gates.map((gate) => {
    const line = element("li", gate.open ? "open" : "closed");
    line.append(element("span", "mark", gate.open ? "✓" : "✕"), element("span", "name", gate.name), element("span", "reason", gate.reason));
    return line;
  }));
}

function showFlag(s) {
  const forward = s.primary === "sqlite";
  byId("cutover").hidden = s.primary === "postgres";
  byId("rollback").hidden = forward;
  byId("cutover").disabled = busy || !forward || !s.target.up;
  byId("rollback").disabled = busy || s.primary !== "postgres";
  byId("rehearse").disabled = busy || !s.primary || !s.target.up;
  byId("flag-text").textContent = s.primary === "postgres" ?
    "PostgreSQL is primary since epoch " + s.epoch + ". The way back is open: changes flow into SQLite." :
    !forward ? "A switch is not settled; the agent finishes it." :
    s.ready ? "Every gate is open. The app will wait some milliseconds and keep its connections." :
    "SQLite is primary. Closed gates keep the cutover back; forcing one is kept in the audit trail.";
}

function showMismatches(list, error) {
  const box = byId("mismatches");
  if (!list) { box.replaceChildren(element("p", "quiet", error || "not known")); return; }
  byId("mismatches-count").textContent = list.length ? list.length + " open" : "";
  if (!list.length) { box.replaceChildren(element("p", "quiet", "None open: compared reads gave the same result on both sides.")); return; }
  // A person may be selecting text: unchanged entries stay as they are.
  const key = list.map((m) => m.id + ":" + m.seen + ":" + m.last_at).join(" ");
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.replaceChildren(...list.map(mismatch));
}

function mismatch(m) {
  const box = element("article", "mismatch");
  const head = element("div", "head");
  const settle = element("button", "small", "Settled");
  settle.addEventListener("click", () => resolve(m));
  head.append(element("strong", "", "#" + m.id), element("span", "tag", m.reason.replaceAll("_", " ")),
    element("span", "quiet grow", "seen " + number.format(m.seen) + " times, last " + m.last_at.replace("T", " ").replace("Z", " UTC") + ", position " + number.format(m.position)), settle);
  const sql = element("div", "sql", m.sql);
  const params = Array.isArray(m.params) ? m.params.map(shown) : Object.entries(m.params || {}).map(([name, value]) => ":" + name + " = " + shown(value));
  const sides = element("div", "pairwise");
  sides.append(result("SQLite", m.origin_result, m.target_result), result("PostgreSQL", m.target_result, m.origin_result));
  box.append(head, sql);
  if (params.length) box.append(element("p", "quiet", "with " + params.join(", ")));
  box.append(sides);
  return box;
}

function result(title, mine, other) {
  const box = element("div");
  const count = mine.error ? "" : " (" + number.format(mine.row_count ?? (mine.rows || []).length) + " rows)";
  box.append(element("h4", "", title + count));
  if (mine.error) { box.append(element("p", "tag", mine.error + ": " + (mine.message || ""))); return box; }
  const table = element("table"), head = element("tr");
  for (const name of mine.columns || []) head.append(element("th", "", shownName(name)));
  table.append(head);
  (mine.rows || []).forEach((row, r) => {
    const line = element("tr");
    row.forEach((value, c) => {
      const theirs = other.error || !other.rows || !other.rows[r] ? undefined : other.rows[r][c];
      const differs = JSON.stringify(value) !== JSON.stringify(theirs);
      line.append(element("td", (value === null ? "null " : "") + (differs ? "differs" : ""), shown(value)));
    });
    table.append(line);
  });
  box.append(table);
  return box;
}

function shownName(value) { return typeof value === "string" ? value : shown(value); }

function shown(value) {
  if (value === null) return "NULL";
  if (typeof value === "string") return "'" + value + "'";
  if (typeof value !== "object") return String(value);
  if ("b64" in value) return "blob " + value.b64;
  if ("int" in value) return value.int;
  if ("float" in value) return value.float;
  if ("text" in value) return "'" + value.text + "'" + (value.length ? "… (" + value.length + " characters)" : "");
  return JSON.stringify(value);
}

// Changing calls.

function ask(title, text, yes, gates) {
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  byId("confirm-reason").value = "";
  byId("confirm-token-row").hidden = document.body.dataset.needsToken !== "yes" || Boolean(token);
  byId("confirm-force").replaceChildren(...gates.map((gate) => {
    const row = element("label", "force");
    const box = element("input");
    box.type = "checkbox"; box.value = gate.name;
    row.append(box, element("span", "", "force " + gate.name + ": " + gate.reason));
    return row;
  }));
  const dialog = byId("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    if (byId("confirm-token").value) { token = byId("confirm-token").value; byId("confirm-token").value = ""; }
    done(dialog.returnValue !== "yes" ? null : {
      reason: byId("confirm-reason").value,
      force: [...byId("confirm-force").querySelectorAll("input:checked")].map((box) => box.value),
    });
  }, { once: true }));
}

async function change(path, body, what) {
  busy = true;
  if (last) showFlag(last);
  say(what + " …", "");
  try {
    const outcome = await call(path, body);
    if (outcome.http === 401) token = "";
    if (outcome.error) say(what + ": " + outcome.error, "bad");
    else say(report(outcome), outcome.ok ? "good" : "bad");
  } catch (error) {
    say(what + ": " + error.message, "bad");
  } finally {
    busy = false;
    if (last) showFlag(last);
  }
}

function report(o) {
  const lines = [o.direction + ": " + o.result.replaceAll("_", " ") + (o.why ? ": " + o.why : "")];
  if (o.ok) lines.push("the app waited at most " + seconds(o.wait_seconds) + ", fence held " + seconds(o.fence_seconds) + ", primary " + o.primary + ", epoch " + o.epoch);
  for (const holder of o.holders) lines.push("in the way: pid " + holder.pid + " " + holder.who + " " + holder.statement);
  for (const warning of o.warnings) lines.push("warning: " + warning);
  return lines.join("\n");
}

function say(text, mood) {
  const box = byId("outcome");
  box.hidden = false;
  box.className = "outcome " + mood;
  box.textContent = text;
}

byId("cutover").addEventListener("click", async () => {
  const closed = last.gates.filter((gate) => !gate.open);
  const answer = await ask("Make PostgreSQL primary?", closed.length ?
    closed.length + " gates are closed. Without forcing each of them the cutover is refused." :
    "Every gate is open. New transactions wait some milliseconds; the app keeps its connections. The way back stays open.",
    "Cut over", closed);
  if (answer) change("/api/v1/cutover", answer, "cutover");
});

byId("rollback").addEventListener("click", async () => {
  const answer = await ask("Make SQLite primary again?",
    "Everything that PostgreSQL has is brought back first; nothing is lost. New transactions wait some milliseconds.", "Roll back", []);
  if (answer) change("/api/v1/rollback", { reason: answer.reason }, "rollback");
});

byId("rehearse").addEventListener("click", async () => {
  const way = last.primary === "postgres" ? "rollback" : "cutover";
  const answer = await ask("Rehearse the " + way + "?",
    "Everything but the commit point, fence included: the app waits as it would, and stays where it is.", "Rehearse", []);
  if (answer) change("/api/v1/" + way, { dry_run: true, reason: answer.reason }, way + " rehearsal");
});

async function resolve(m) {
  const answer = await ask("Is mismatch #" + m.id + " settled?", "It comes back by itself when it is seen again.", "Settled", []);
  if (!answer) return;
  const done = await call("/api/v1/mismatches/" + m.id + "/resolve", {});
  if (done.http === 401) token = "";
  if (done.error) say("mismatch #" + m.id + ": " + done.error, "bad");
  byId("mismatches").dataset.key = "";
}

// Small forms.

function seconds(value) {
  if (value < 1) return Math.round(value * 1000) + " ms";
  if (value < 120) return value.toFixed(1) + " s";
  return value < 7200 ? Math.round(value / 60) + " min" : (value / 3600).toFixed(1) + " h";
}

function percent(share) {
  const text = (share * 100).toFixed(share > 0.99 && share < 1 ? 3 : 1);
  return (share === 1 ? "100" : text) + " %";
}

function bytes(value) {
  return value < 10240 ? value + " B" : value < 10485760 ? (value / 1024).toFixed(0) + " KiB" : (value / 1048576).toFixed(0) + " MiB";
}

poll();
