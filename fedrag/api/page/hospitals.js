// What each hospital answered by itself, what became of each, and what each gave away.

import { bar, cited, make, meta, percent, several, tag } from "./elements.js";
import { steps } from "./steps.js";

export const STATUS = {
  answered: "answered", refused: "refused", awaiting_release: "waits for a human release", timed_out: "did not answer in time",
  failed: "failed", suspended: "left alone after failures", not_selected: "not asked",
};

// One line for each hospital; its words unfold.
export function chains(answer) {
  return answer.chains.map((one) => {
    const head = [make("strong", {}, one.node), make("span", { className: "choice" }, chose(answer, one)), " ",
      differs(answer, one) ? tag("otherwise") : null, one.counted ? null : tag("not counted"), meta(` ${whose(answer, one)}`),
      make("span", { className: "about meta" }, about(one))];
    if (!one.answer && !one.steps.length) return make("div", { className: "chain ui" }, head);
    return make("details", { className: "chain" }, make("summary", {}, head),
      one.steps.length ? steps(one.steps, answer) : null, one.answer ? make("p", { className: "words" }, cited(one.answer, answer)) : null);
  });
}

function chose(answer, one) {
  if (one.choice !== null) return answer.question.options[one.choice] ? `${one.choice} · ${answer.question.options[one.choice]}` : one.choice;
  if (one.confidence !== null) return "answers in words";
  const found = answer.coverage.find((each) => each.node === one.node);
  return !found || found.status === "answered" ? "nothing" : `nothing: ${STATUS[found.status]}`;
}

function whose(answer, one) {
  if (!one.at_hospital) return "read here, alone";
  return answer.evidence.passages.some((each) => each.node === one.node) ? "its own model" : "its own model; its documents stayed there";
}

const differs = (answer, one) => answer.choice !== null && one.choice !== null && one.choice !== answer.choice;

function about(one) {
  return [one.counted ? "" : "it stopped agreeing with the others", one.weight === null ? "" : `weight in the vote ${percent(one.weight)}`, one.confidence === null ? "" : `believed to ${percent(one.confidence)}`,
    one.uncertainty === null ? "" : `states an uncertainty of ${one.uncertainty.toFixed(2)}, on its own scale`,
    one.gaps ? `admits ${several(one.gaps, "gap")}` : ""].filter(Boolean).join(" · ");
}

// The certificate's own sentence, and who it counts.
export function certificate(answer) {
  if (!answer.certificate) return null;
  const votes = Object.entries(answer.certificate.votes).map(([node, choice]) => `${node} ${choice ?? "nothing"}`).join(", ");
  return make("p", { className: "ui" }, answer.certificate.explanation, meta(` Alone they would choose: ${votes}.`));
}

function proved(learned) {
  if (!learned) return "";
  return learned.outcomes ? `${percent(learned.mean)} of ${learned.outcomes}` : "no outcomes yet";
}

function gave(given) {
  if (!given) return "nothing";
  return [several(given.passages, "passage"), given.traces ? several(given.traces, "chain of thought", "chains of thought") : "",
    several(given.text_bytes, "byte"), several(given.patients, "patient")].filter(Boolean).join(", ");
}

export function hospitals(answer) {
  const account = Object.fromEntries(answer.disclosure.hospitals.map((one) => [one.node, one]));
  const rows = answer.coverage.map((one) => {
    const weight = answer.evidence.source_weights[one.node], given = account[one.node];
    return make("tr", {}, make("th", { scope: "row" }, one.node), make("td", {}, STATUS[one.status] + (one.code ? ` (${one.code})` : "")),
      make("td", { className: "number" }, String(Math.round(one.elapsed_ms))), make("td", {}, weight ? [percent(weight), bar(weight)] : ""),
      make("td", {}, proved(answer.evidence.reliability[one.node])), make("td", {}, gave(given)),
      make("td", {}, given ? (given.epsilon === null ? given.bound : `epsilon ${given.epsilon}`) : ""));
  });
  const head = make("tr", {}, ["hospital", "what became of it", "ms", "weight", "proved right", "gave away", "privacy bound"].map((text) =>
    make("th", { scope: "col", className: text === "ms" ? "number" : "" }, text)));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, rows));
  return [make("div", { className: "scroll", role: "region", tabIndex: 0, ariaLabel: "What became of each hospital" }, table),
    answer.evidence.few_sources && answer.evidence.passages.length ? make("p", { className: "meta" }, "Fewer than four hospitals contributed: a cap on the weight of each bounds little.") : null,
    make("p", { className: "meta" }, `The question was shown to ${answer.disclosure.question_shown_to.join(", ") || "no hospital"} as ${answer.disclosure.question_shown_as}.`)];
}
