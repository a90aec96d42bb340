// What everything shown is made of. Text of hospitals is hostile: it only ever becomes a text node.

export const at = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const title = (text, properties = {}) => make("h2", properties, text);
export const meta = (...children) => make("span", { className: "meta" }, ...children);
export const tag = (text) => make("span", { className: "tag meta" }, text);
export const percent = (share) => `${Math.round(share * 100)}\u00a0%`;
export const plain = (code) => code.replaceAll("_", " ");
export const moment = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
export const several = (count, one, more = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : more}`;

export function either(names, word = "or") {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${word} ${names.at(-1)}`;
}

// A share as a bar. `words` are for who points at it and who cannot see it; without them it only repeats what is beside it.
export function bar(share, words = "", className = "") {
  const filled = make("i");
  filled.style.width = `${share * 100}%`;
  const whole = make("span", { className: `bar ${className}`.trim() }, filled);
  return Object.assign(whole, words ? { role: "img", title: words, ariaLabel: words } : { ariaHidden: "true" });
}

// Shows what this is about, unfolded, and puts the keyboard there.
export function go(id) {
  const goal = at(id);
  if (!goal) return;
  for (let fold = goal.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  goal.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "center" });
  goal.focus({ preventScroll: true });
  goal.classList.add("lit");
  setTimeout(() => goal.classList.remove("lit"), 1600);
}

export function button(text, act, className = "quiet") {
  const made = make("button", { type: "button", className }, text);
  made.addEventListener("click", act);
  return made;
}

export function cite(number) {
  return Object.assign(button(String(number), () => go(`source-${number}`), "cite"), { ariaLabel: `Source ${number}` });
}

// Citations inside a text, [1], become buttons where such a source was released. What turns the direction of writing ends
// with the text.
export function cited(text, answer) {
  const known = new Set(answer.evidence.passages.map((one) => String(one.number)));
  return make("bdi", {}, text.split(/(\[\d+\])/).map((part) => {
    const number = /^\[(\d+)\]$/.exec(part);
    return number && known.has(number[1]) ? cite(Number(number[1])) : part;
  }));
}

export function further(text, citations) {
  return citations.filter((number) => !text.includes(`[${number}]`)).map(cite);
}
