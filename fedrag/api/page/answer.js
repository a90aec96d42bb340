// The answer at a glance, what it rests on, and where hospitals disagree.

import { bar, button, cite, cited, either, go, make, meta, moment, percent, plain, several, tag } from "./elements.js";
import { STATUS } from "./hospitals.js";

export function verdict(answer) {
  if (answer.abstained) {
    return make("section", { className: "card abstained" }, make("p", { className: "verdict" }, "No answer."),
      make("p", {}, answer.abstained.explanation), make("p", { className: "meta" }, `Reason: ${plain(answer.abstained.code)}`));
  }
  const words = answer.confidence >= 0.8 ? "likely right" : answer.confidence >= 0.5 ? "more likely right than not" : "uncertain: check the sources";
  const report = answer.reasoner;
  const by = report.fallback ? `${report.backend}, in place of the model (${plain(report.fallback)})` : `${report.backend} · ${report.model}`;
  return make("section", { className: "card" }, make("h2", { className: "spoken" }, "Answer"),
    answer.text.split("\n").map((line) => make("p", { className: "verdict" }, cited(line, answer))),
    make("div", { className: "confidence" }, bar(answer.confidence), meta(`confidence ${percent(answer.confidence)}, ${words} · ${by}`)),
    answerSet(answer), labels(answer));
}

// What the judged questions leave possible.
function answerSet(answer) {
  const found = answer.answer_set;
  if (!found) return null;
  const named = found.choices.map((choice) => answer.question.options[choice] ? `${choice} (${answer.question.options[choice]})` : choice);
  const missed = `unless this is one of the at most ${percent(found.error)} of questions where such a set misses the right choice`;
  return make("p", { className: "ui" }, make("strong", {}, `${either(named)}, `), `${missed} (learned of ${several(found.judged, "judged question")}).`);
}

// What nobody should have to look for.
function labels(answer) {
  const doubtful = answer.steps.flatMap((step, at) => step.unsupported ? [at + 1] : []);
  const differ = answer.evidence.conflicts.length, alone = only(answer), shown = [];
  const told = answer.reasoner.instructions_found;
  const point = (text, id, tone) => shown.push(button(text, () => go(id), `label ${tone}`));
  if (doubtful.length) point(`${doubtful.length} of ${several(answer.steps.length, "step")} not borne out by what ${doubtful.length === 1 ? "it cites" : "they cite"}`, `step-${doubtful[0]}`, "bad");
  if (differ) point(`hospitals disagree in ${several(differ, "place")}`, "disagree", "warn");
  if (alone) shown.push(make("span", { className: "label warn" }, `rests on ${alone} alone`));
  if (answer.reasoner.cut_short) shown.push(make("span", { className: "label warn" }, "ended early: the best answer until then"));
  if (told) shown.push(make("span", { className: "label warn" }, `${several(told, "sentence")} of the sources told the reader what to do: left out`));
  return shown.length ? make("ul", { className: "labels" }, shown.map((one) => make("li", {}, one))) : null;
}

// The one hospital behind the answer, where there is only one.
function only(answer) {
  const numbers = new Set(answer.steps.flatMap((step) => step.citations));
  const nodes = new Set(answer.evidence.passages.filter((one) => numbers.has(one.number)).map((one) => one.node));
  answer.chains.filter((one) => one.at_hospital && one.choice !== null && one.choice === answer.choice).forEach((one) => nodes.add(one.node));
  return nodes.size === 1 ? [...nodes][0] : "";
}

export function rewritten(answer) {
  if (!answer.rewritten) return null;
  return make("p", { className: "meta" }, "Asked as: ", make("strong", {}, answer.question.text),
    ` You wrote: ${answer.rewritten.asked} (made to stand alone by ${answer.rewritten.by})`);
}

export function subQuestions(answer) {
  return make("ol", {}, answer.parts.map((part) => make("li", {}, part.question, " ", part.citations.map(cite),
    meta(` ${part.abstained ? `no answer: ${plain(part.abstained.code)}` : `confidence ${percent(part.confidence)}`}, asked of ${part.asked_of.join(", ") || "nobody"}${part.cut_short ? ", cut short by a budget" : ""}`))));
}

export function waits(answer, look) {
  if (!answer.awaiting.length) return null;
  const places = answer.awaiting.map((one) => `${one.node} (until ${moment(one.until)})`).join(", ");
  return make("div", { className: "note waits ui", role: "note" },
    make("span", {}, `Awaiting release at ${places}: somebody there reads the question and decides. This answer is completed here if anything is released.`),
    button("Look now", look));
}

export function completed(answer) {
  if (!answer.completed) return null;
  const before = answer.completed.before.map((one) => `${one.node} ${STATUS[one.status]}`).join(", ");
  return make("p", { className: "note ui" }, `Completed with what ${answer.completed.released.join(", ")} released since the answer of ${moment(answer.completed.first_answered_at)}${before ? ` (before: ${before})` : ""}.`);
}

const DISAGREE = {
  numbers: "different numbers", negation: "do against do not", recommendation: "different first choices", superseded: "an earlier and a later edition",
};

function documentOf(from) {
  return [from.document_name, from.section && `§ ${from.section}`, from.version && `version ${from.version}`, from.effective_date].filter(Boolean).join(" · ");
}

function side(answer, one, quote) {
  const passage = answer.evidence.passages.find((each) => each.number === quote.citation);
  return make("div", {}, make("div", { className: "ui" }, make("strong", {}, passage.node), " ", make("bdi", {}, passage.passage.citation.title), " ", cite(quote.citation),
    one.newer === quote.citation ? tag("newer") : null),
    make("div", { className: "meta" }, documentOf(passage.passage.citation)), make("blockquote", {}, `“${quote.text}”`));
}

export function conflict(answer, one) {
  return make("section", {}, make("p", { className: "meta" }, DISAGREE[one.kind] || one.kind),
    make("div", { className: "conflict" }, [one.first, one.second].map((quote) => side(answer, one, quote))));
}

// Those that the answer or a conflict cites; the others folded away.
export function sources(answer) {
  const numbers = new Set([...answer.steps.flatMap((step) => step.citations), ...answer.evidence.conflicts.flatMap((one) => [one.first.citation, one.second.citation])]);
  const cited = answer.evidence.passages.filter((one) => numbers.has(one.number)), others = answer.evidence.passages.filter((one) => !numbers.has(one.number));
  if (!others.length || !cited.length) return answer.evidence.passages.map(source);
  return [...cited.map(source), make("details", { className: "others" },
    make("summary", {}, others.length === 1 ? "1 more passage was released and is not cited" : `${others.length} more passages were released and are not cited`), others.map(source))];
}

function source(one) {
  const from = one.passage.citation;
  return make("article", { className: "card source", id: `source-${one.number}`, tabIndex: -1, ariaLabel: `Source ${one.number}, ${one.node}` },
    make("div", { className: "ui" }, make("strong", {}, `${one.number} · ${one.node}`), " ", make("bdi", {}, from.title), " ", tag(one.passage.release_class)),
    make("div", { className: "meta" }, documentOf(from)), make("blockquote", {}, one.passage.text),
    make("div", { className: "meta" }, `relevance ${percent(one.probability)} · source weight ${percent(one.weight)}`,
      one.also_held_by.length ? ` · also held by ${one.also_held_by.join(", ")}` : ""));
}
