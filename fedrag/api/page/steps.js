// Steps of a chain of thought, and how far what each cites bears it out.

import { bar, cited, further, make, meta, percent } from "./elements.js";

export const ROUGH = "Short bars: how likely what a step cites bears it out. A rough check of words and numbers; it does not read.";

// `named`: whether each can be pointed at, as step-1 and so on.
export function steps(list, answer, named = false) {
  return make("ol", { className: "steps" }, list.map((step, at) => make("li",
    { ...(step.unsupported && { className: "unsupported" }), ...(named && { id: `step-${at + 1}`, tabIndex: -1 }) },
    cited(step.text, answer), further(step.text, step.citations), support(step),
    meta(" ", step.unsupported ? [make("strong", {}, "not borne out by what it cites"), " · "] : "", `uncertainty ${percent(step.uncertainty)}`))));
}

function support(step) {
  if (step.support === null) return null;
  const words = step.unsupported ? "Probably not borne out by what it cites" : "Borne out by what it cites";
  return bar(step.support, `${words}: ${percent(step.support)} likely to be`, "support");
}
