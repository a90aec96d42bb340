// How the answer was made: what its confidence rests on, what it cost against which caps, what was put right.

import { bar, make, plain, several } from "./elements.js";

const SIGNALS = {
  decision: "how clearly the evidence decides", answerable: "whether the evidence holds an answer at all",
  stated_confidence: "how sure the model says it is", token_probability: "how probable its words were to the model",
  cited_share: "how much of it cites a source", judged_votes: "what each hospital's choices have proved worth",
  admissions: "gaps that hospitals admit", stated_uncertainty: "the uncertainty that hospitals state",
  calibrated_uncertainty: "the uncertainty that hospitals state, as far as it has meant something", source_weight: "how much each source weighs",
  hospitals_alike: "hospitals' own word, all alike as none was judged yet", agreement: "how many agree",
};
const COSTS = {
  tokens: "tokens read and written", written: "of them written", calls: "calls of a model", ms: "milliseconds",
  passages: "passages asked for", hospitals: "hospitals asked",
};

export function making(answer) {
  const report = answer.reasoner, lines = [
    ["confidence made of", report.signals.map((one) => SIGNALS[one] || plain(one)).join("; ") || "nothing"],
    ["reasoner", [report.backend, report.model, plain(report.strategy)].join(" · ") + (report.fallback ? `, in place of the model: ${plain(report.fallback)}` : "")],
    ["budget", spent(answer.budget)],
    ["model", `${several(report.prompt_tokens, "token")} read, ${report.completion_tokens.toLocaleString("en")} written, ${report.thinking_tokens.toLocaleString("en")} of them thinking`],
    ["put right", [several(report.citations_dropped, "citation of nothing released", "citations of nothing released"), several(report.instructions_found, "sentence that instructs the reader", "sentences that instruct the reader"),
      `${several(report.passages_trimmed, "passage")} too many`, several(report.retries, "retry", "retries")].join(", ")],
    ["routing", `${answer.routing.policy}: ${answer.routing.why} ${answer.routing.ranking.map((one) => `${one.node} ${one.probability.toFixed(2)}`).join(", ")}`],
    ["merged by", answer.evidence.method],
    ["network", `${several(answer.budget.messages, "message")}, ${several(answer.budget.bytes_received, "byte")} received`],
    ["timings", answer.timings.map((one) => `${one.stage} ${Math.round(one.elapsed_ms)} ms`).join(", ")],
    ["taken out of the question", answer.redactions.map((one) => `${one.count} × ${plain(one.category)}`).join(", ") || "nothing"],
    ["question as seen", answer.question.text],
    ["answer", `${answer.id}, ${answer.answered_at}`],
  ];
  return make("details", {}, make("summary", {}, "How it was made"), make("table", { className: "facts" },
    make("tbody", {}, lines.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value))))));
}

function spent(budget) {
  return Object.entries(COSTS).filter(([name]) => budget.spent[name] || budget.caps[name] !== null).map(([name, words]) => {
    const used = Math.round(budget.spent[name]), cap = budget.caps[name];
    const told = `${used.toLocaleString("en")}${cap === null ? "" : ` of ${cap.toLocaleString("en")}`} ${words}`;
    return make("div", {}, told, cap === null ? null : bar(cap ? Math.min(1, used / cap) : 1));
  });
}
