// Asking, waiting for what hospitals still release, and telling how an answer turned out.

import * as shown from "./answer.js";
import { at, button, make, title } from "./elements.js";
import { certificate, chains, hospitals } from "./hospitals.js";
import { making } from "./making.js";
import { ROUGH, steps } from "./steps.js";

const LOOK_MS = 15000;
let running = null, looking = null, before = null;

function start() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.has("key")) {
    sessionStorage.setItem("key", given.get("key"));
    history.replaceState(null, "", location.pathname);
  }
  at("key").value = sessionStorage.getItem("key") || "";
  at("text").value = given.get("question") || "";
  at("add").addEventListener("click", addOption);
  at("cancel").addEventListener("click", () => running && running.abort());
  at("form").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
}

function addOption() {
  const letter = String.fromCharCode(65 + at("options").children.length);
  if (letter > "Z") return;
  const field = make("input", { type: "text", maxLength: 1000, ariaLabel: `Option ${letter}` });
  field.dataset.letter = letter;
  at("options").append(make("label", {}, letter, field));
  field.focus();
}

function request() {
  const question = { text: at("text").value };
  const options = [...at("options").querySelectorAll("input")].filter((field) => field.value.trim());
  if (options.length) question.options = Object.fromEntries(options.map((field) => [field.dataset.letter, field.value]));
  const body = { question };
  if (before && at("follows").checked) {
    // What was said stays on this page and travels with the question: the coordinator keeps none of it.
    const last = { question: before.question.text, answer: [...before.text].slice(0, 4000).join("") };
    question.turns = [...before.question.turns, last].slice(-20);
    body.conversation = before.conversation;
  }
  if (at("apart").checked) body.sub_questions = 4;
  if (at("routing").value) body.routing = at("routing").value;
  if (at("records").checked) body.filter = { release_classes: ["public", "protocol", "patient"] };
  if (at("reason").value.trim()) body.reason = at("reason").value;
  if (at("deadline").value) body.deadline_ms = Math.round(Number(at("deadline").value) * 1000);
  return body;
}

async function call(path, body, signal) {
  sessionStorage.setItem("key", at("key").value);
  const response = await fetch(path, {
    method: body ? "POST" : "GET", signal, body: body && JSON.stringify(body), credentials: "omit",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${at("key").value}` },
  });
  if (response.status === 204) return null;
  const told = await response.json().catch(() => ({ code: "bad_response", detail: `status ${response.status}` }));
  if (!response.ok) throw new Error(`${told.detail} (${told.code})`);
  return told;
}

async function ask() {
  running = new AbortController();
  const began = performance.now(), seconds = () => Math.round((performance.now() - began) / 1000);
  const clock = setInterval(() => { at("clock").textContent = `${seconds()} s`; }, 500);
  clearTimeout(looking);
  busy(true); say("Asking …"); at("answer").replaceChildren();
  try {
    const answer = await call("/v1/ask", request(), running.signal);
    show(answer);
    say(answer.abstained ? "Nobody could answer; why stands below." : "The answer stands below.");
  } catch (error) {
    if (error.name === "AbortError") say("Cancelled.");
    else say(trouble(error), true);
  } finally { clearInterval(clock); at("clock").textContent = ""; busy(false); running = null; }
}

// An answer that awaits a release is looked at again by itself, while the page is in sight.
function wait(answer) {
  clearTimeout(looking);
  if (!answer.awaiting.length) return;
  looking = setTimeout(() => (document.hidden ? wait(answer) : look(answer)), LOOK_MS);
}

async function look(answer) {
  clearTimeout(looking);
  try {
    const now = await call(`/v1/answers/${answer.id}`);
    if (JSON.stringify(now) === JSON.stringify(answer)) { say(`Nothing new at ${new Date().toLocaleTimeString()}.`); wait(answer); return; }
    show(now);
    say(now.completed ? "The answer was completed." : "");
  } catch (error) { say(trouble(error), true); wait(answer); }
}

function busy(on) { at("send").disabled = on; at("cancel").hidden = !on; at("answer").setAttribute("aria-busy", on); }
function say(text, wrong = false) { at("status").textContent = text; at("status").className = wrong ? "ui error" : "ui"; }
const trouble = (error) => error instanceof TypeError ? "The coordinator cannot be reached." : error.message;

function show(answer) {
  before = answer;
  at("follow").hidden = false;
  const parts = [shown.rewritten(answer), shown.verdict(answer)];
  if (answer.parts.length) parts.push(title("Asked one by one"), shown.subQuestions(answer));
  parts.push(shown.waits(answer, () => look(answer)), shown.completed(answer));
  answer.notices.filter((notice) => notice.code !== "awaiting_release").forEach((notice) => parts.push(make("p", { className: "disclaimer", role: "note" }, notice.message)));
  if (answer.evidence.conflicts.length) parts.push(title("Hospitals disagree", { id: "disagree", tabIndex: -1 }), ...answer.evidence.conflicts.map((one) => shown.conflict(answer, one)));
  if (answer.steps.length) parts.push(title("Reasoning"), steps(answer.steps, answer, true));
  if (answer.steps.some((step) => step.support !== null)) parts.push(make("p", { className: "meta" }, ROUGH));
  if (answer.chains.length || answer.certificate) parts.push(title("Hospital by hospital"), certificate(answer), ...chains(answer));
  if (answer.evidence.passages.length) parts.push(title("Sources"), ...shown.sources(answer));
  parts.push(title("Hospitals"), ...hospitals(answer), feedback(answer), making(answer));
  at("answer").replaceChildren(...parts.filter(Boolean));
  wait(answer);
}

function feedback(answer) {
  const helped = new Set(), told = make("span", { className: "meta", role: "status" });
  const send = async (verdictOf) => {
    try { await call(`/v1/answers/${answer.id}/feedback`, { answer_id: answer.id, helpful_citations: [...helped], ...verdictOf }); told.textContent = "Thank you."; }
    catch (error) { told.textContent = trouble(error); }
  };
  const boxes = answer.evidence.passages.map((one) => {
    const box = make("input", { type: "checkbox", ariaLabel: `Source ${one.number} helped` });
    box.addEventListener("change", () => box.checked ? helped.add(one.number) : helped.delete(one.number));
    return make("label", { className: "meta" }, box, ` ${one.number} `);
  });
  return make("section", {}, title("Was it right?"), make("div", { className: "ui" }, boxes.length ? "Citations that helped: " : "", ...boxes),
    make("div", { className: "row" }, button("Correct", () => send({ correct: true })), button("Not correct", () => send({ correct: false })),
      button("Harmful", () => send({ correct: false, harmful: true })), told));
}

start();
