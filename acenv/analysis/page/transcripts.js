// Draws the two transcripts of an episode. Every text goes in through textContent: a transcript never becomes markup.
const transcripts = (() => {
  "use strict";
  const LONG = 700; // characters from which a message is folded
  const OPEN = 4; // shared messages up to which they are shown at once
  const STRONG = 3; // nats from which a token has the full colour
  const LIMIT = 250000; // cells of the table that compares the words of two messages

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  const number = (value) => (value === null ? "error" : value.toFixed(2).replace("-", "\u2212"));
  const some = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

  // The words of the first text, each with whether the second lacks it there (longest common subsequence).
  function compareWords(a, b) {
    const split = (text) => text.match(/[\p{L}\p{N}_.-]+|\s+|[^]/gu) || [];
    const [mine, other] = [split(a), split(b)];
    let start = 0;
    while (start < mine.length && start < other.length && mine[start] === other[start]) start++;
    let tail = 0;
    while (tail < Math.min(mine.length, other.length) - start && mine.at(-1 - tail) === other.at(-1 - tail)) tail++;
    const [n, m] = [mine.length - tail - start, other.length - tail - start];
    const changed = mine.map((_, i) => i >= start && i < start + n);
    if (n * m > LIMIT) return [mine, changed]; // too long for the table: all of it counts as changed
    const width = m + 1;
    const common = new Uint16Array((n + 1) * width);
    for (let i = n - 1; i >= 0; i--) {
      for (let j = m - 1; j >= 0; j--) {
        common[i * width + j] = mine[start + i] === other[start + j]
          ? common[(i + 1) * width + j + 1] + 1
          : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
      }
    }
    for (let i = 0, j = 0; i < n && j < m;) {
      if (mine[start + i] === other[start + j]) { changed[start + i] = false; i++; j++; }
      else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) i++;
      else j++;
    }
    return [mine, changed];
  }

  // The text, with what the other lacks in marks.
  function marked(text, other) {
    const [words, changed] = compareWords(text, other);
    const parts = [];
    for (let i = 0; i < words.length;) {
      let end = i;
      while (end < words.length && changed[end] === changed[i]) end++;
      const run = words.slice(i, end).join("");
      parts.push(changed[i] && run.trim() ? make("mark", "", run) : run);
      i = end;
    }
    return parts;
  }

  const parsed = (text) => {
    try { return JSON.parse(text); } catch { return undefined; }
  };

  // The tool calls that a message is made of, [{ name, args }, ...], and the words before them; null if it is none.
  function readCalls(text) {
    const tagged = [...text.matchAll(/<tool_call>([^]*?)<\/tool_call>/g)];
    const fenced = /^\s*```(?:json)?\n([^]*?)\n```\s*$/.exec(text);
    const sources = tagged.length ? tagged.map((match) => match[1]) : [fenced ? fenced[1] : text];
    const said = tagged.length ? text.slice(0, tagged[0].index).trim() : "";
    const found = sources.flatMap((source) => parsed(source) ?? [null]);
    const calls = found.map((call) => {
      const args = call?.arguments ?? call?.parameters ?? {};
      return typeof call?.name === "string" && typeof args === "object" && !Array.isArray(args)
        ? { name: call.name, args }
        : null;
    });
    return calls.length && calls.every(Boolean) ? { said, calls } : null;
  }

  // A tool call as a name and its arguments; what differs from the other's call is marked.
  function callBox(call, other) {
    const put = (parent, text, isOther) => {
      if (isOther) parent.append(make("mark", "", text));
      else parent.append(text);
    };
    const written = (value) => (typeof value === "string" ? value : JSON.stringify(value));
    const box = make("div", "call");
    const name = make("p", "call-name");
    put(name, call.name || "(no name)", other && other.name !== call.name);
    box.append(name);
    const args = Object.entries(call.args);
    if (args.length) {
      const terms = make("dl");
      for (const [key, value] of args) {
        const isKnown = !other || Object.hasOwn(other.args, key);
        const term = make("dt");
        put(term, key, !isKnown);
        const description = make("dd");
        put(description, written(value), !isKnown || (other && written(other.args[key]) !== written(value)));
        terms.append(term, description);
      }
      box.append(terms);
    }
    return box;
  }

  // What the compressed model makes of the tokens of a message; null if they are not the message's own.
  function tinted(text, { tokens, kl, flip }) {
    const joined = tokens.join("");
    if (!joined.startsWith(text)) return null;
    let left = text.length;
    const parts = [];
    tokens.forEach((token, i) => {
      if (left <= 0) return;
      const part = make("span", flip[i] ? "token flip" : "token", token.slice(0, left));
      part.style.setProperty("--kl", Math.min(1, kl[i] / STRONG).toFixed(2));
      part.title = `KL ${kl[i].toFixed(2)} nats${flip[i] ? "; the compressed model's first choice is another" : ""}`;
      parts.push(part);
      left -= token.length;
    });
    return parts;
  }

  // The same in words, for those who see no colours and have no mouse.
  function tintText({ tokens, kl, flip }) {
    const flips = flip.filter(Boolean).length;
    const top = kl.indexOf(Math.max(...kl));
    const where = kl[top] >= 0.005 ? `; highest KL ${kl[top].toFixed(2)} nats, at “${tokens[top].trim()}”` : "";
    return `The compressed model's first choice is another at ${flips} of ${some(tokens.length, "token")}${where}.`;
  }

  const looksWrong = (text) => /^\W{0,3}\w*\s*(error|invalid|unknown|failed|cannot)\b/i.test(text);

  // Objects and lists that stand in a long line, on lines of their own.
  function laidOut(text) {
    const value = text.length > 80 && /^\s*[[{]/.test(text) ? parsed(text) : undefined;
    return value === undefined ? text : JSON.stringify(value, null, 2);
  }

  function fold(body, length) {
    body.classList.add("folded");
    body.tabIndex = 0;
    body.setAttribute("role", "region");
    body.setAttribute("aria-label", "Long message");
    const full = `Show all ${length.toLocaleString("en")} characters`;
    const button = make("button", "unfold", full);
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const isFolded = body.classList.toggle("folded");
      button.setAttribute("aria-expanded", String(!isFolded));
      button.textContent = isFolded ? full : "Show less";
    });
    return button;
  }

  function asWritten(text) {
    const box = make("details", "written");
    box.append(make("summary", "", "As written"), make("pre", "", text));
    return box;
  }

  function tags({ role, text, reward, failures, opening }) {
    const speaker = role === "assistant" ? "model" : role === "user" && !opening ? "environment" : role;
    const head = make("p", "role", speaker);
    const wrong = [...failures];
    if (!opening && role !== "assistant" && looksWrong(text)) wrong.push("error");
    for (const name of wrong) head.append(make("span", "tag", name));
    if (typeof reward === "number") {
      head.append(make("span", "reward", `reward ${reward > 0 ? "+" : ""}${number(reward)}`));
    }
    return [head, wrong.length > 0];
  }

  // One message; `other` is the other model's at the same place, where the two part.
  function messageBox(message, other, coloured) {
    const { role, text, tokens } = message;
    const box = make("div", `message ${role}`);
    const [head, isWrong] = tags(message);
    if (isWrong) box.classList.add("wrong");
    box.append(head);
    const calls = role === "assistant" ? readCalls(text) : null;
    const tints = tokens && coloured ? tinted(text, tokens) : null;
    if (calls) {
      const others = other === undefined ? null : readCalls(other);
      if (calls.said) box.append(make("pre", "", calls.said));
      box.append(...calls.calls.map((call, i) => callBox(call, others?.calls[i])));
      if (!tints && (other === undefined || others)) {
        box.append(asWritten(text));
        return box;
      }
    }
    const body = make("pre");
    if (text === "") body.append(make("em", "", "(empty)"));
    else if (tints) body.append(...tints);
    else if (other !== undefined) body.append(...marked(text, other));
    else body.textContent = role === "assistant" ? text : laidOut(text);
    box.append(body);
    if (tints) box.append(make("p", "tint-text", tintText(tokens)));
    if (text.length > LONG && other === undefined) box.append(fold(body, text.length));
    return box;
  }

  // The messages of one side, each with what is known of its step.
  function readSide(content, index, turns, failures) {
    const rows = content.transcripts[index];
    const spoken = rows.filter(([role]) => role === "assistant").length;
    const given = spoken - rows.filter((row) => row.length > 2).length; // worked examples in the prompt are no steps
    let turn = -1;
    return rows.map(([role, textIndex, reward]) => {
      const isModel = role === "assistant";
      if (isModel) turn++;
      return {
        role,
        text: content.texts[textIndex],
        reward,
        opening: turn < 0,
        tokens: isModel ? turns.find((t) => t.turn === turn) : undefined,
        failures: isModel ? failures.filter(([, step]) => step === turn - given).map(([name]) => name) : [],
      };
    });
  }

  function sideBox(title, messages, from, partner, coloured) {
    const part = make("section", "side");
    part.setAttribute("aria-label", title);
    part.append(make("h4", "", title));
    if (from >= messages.length) part.append(make("p", "note", "The episode had ended here."));
    messages.slice(from).forEach((message, i) => {
      const isPaired = i === 0 && partner[from]?.role === message.role;
      part.append(messageBox(message, isPaired ? partner[from].text : undefined, coloured));
    });
    return part;
  }

  function sharedBox(messages, isAll, coloured) {
    const box = make("details", "same");
    box.open = isAll || messages.length <= OPEN;
    box.append(make("summary", "", `${some(messages.length, "message")}, the same for both models`));
    box.append(...messages.map((message) => messageBox(message, undefined, coloured)));
    return box;
  }

  // Both transcripts: what they share, the first difference, and then the two side by side.
  function draw(episode, content, coloured) {
    const { fork, step } = episode;
    const turns = episode.tokens >= 0 ? content.tokens[episode.tokens] : [];
    const base = readSide(content, episode.base, turns, []);
    const compressed = readSide(content, episode.compressed, [], episode.failures);
    const shared = base.slice(0, fork).map((message, i) => ({ ...message, failures: compressed[i].failures }));
    const parts = fork > 0 ? [sharedBox(shared, step === 0, coloured)] : [];
    const mark = make("h4", "fork", step > 0 ? `First difference: step ${step}` : "The transcripts are equal");
    mark.id = "first-difference";
    parts.push(mark);
    if (step === 0) return parts;
    const sides = make("div", "sides");
    sides.append(
      sideBox("Original", base, fork, compressed, coloured),
      sideBox(episode.methodName, compressed, fork, base, coloured),
    );
    return [...parts, sides];
  }

  function legend(isOn, toggled) {
    const box = make("p", "legend");
    const label = make("label");
    const check = make("input");
    check.type = "checkbox";
    check.checked = isOn;
    check.addEventListener("change", () => toggled(check.checked));
    label.append(check, "Colour the original's tokens");
    box.append(label);
    for (const [text, kl] of [["KL 0", 0], ["1.5", 0.5], ["3 nats or more", 1]]) {
      const part = make("span", "token", text);
      part.style.setProperty("--kl", kl);
      box.append(part);
    }
    box.append(make("span", "token flip", "underlined: another first choice"));
    return box;
  }

  return { draw, legend, make, number };
})();
