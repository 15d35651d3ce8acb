// The transcript viewer. Every text of an episode goes in through textContent: a transcript can never become markup.
(() => {
  "use strict";
  const viewer = document.getElementById("viewer");
  if (!viewer) return;
  const PAGE = 100; // list entries that are put on the page at a time
  const LONG = 700; // characters from which a message is folded
  const control = (name) => viewer.querySelector(`[name="${name}"]`);
  const list = document.getElementById("episode-list");
  const more = document.getElementById("episode-more");
  const count = document.getElementById("episode-count");
  const detail = document.getElementById("episode");
  let data = null;
  let shown = [];
  let visible = 0;
  let asked = 0; // number of the last filtering: an older one that is still searching gives up
  let coloured = true;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  const short = (envId) => envId.replace(/^acenv\//, "").replace(/-v0$/, "");
  const hash = (...parts) => "#" + parts.map(encodeURIComponent).join("/");
  const linkOf = (e) => hash(data.methods[e.method], data.envs[e.env], String(e.seed));
  const number = (value) => value.toFixed(2).replace("-", "\u2212");

  // Parsing waits until the viewer is needed: the figures above it are readable at once.
  function load() {
    if (data) return;
    data = JSON.parse(document.getElementById("episodes-index").textContent);
    data.episodes = data.rows.map(
      ([method, env, seed, before, after, failures, failure, chunk, base, compressed, fork, step, tokens]) => ({
        method, env, seed, before, after, failures, failure, chunk, base, compressed, fork, step, tokens,
      }),
    );
    filter();
  }

  // The transcripts of a chunk, decompressed when they are first asked for.
  const chunks = new Map();
  function chunk(number) {
    if (!chunks.has(number)) chunks.set(number, unpack(document.getElementById(`chunk-${number}`).textContent));
    return chunks.get(number);
  }

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  const haystacks = new Map();
  function haystack(content, name, index) {
    const key = `${name}/${index}`;
    if (!haystacks.has(key)) {
      const texts = content.transcripts[index].map(([, text]) => content.texts[text]);
      haystacks.set(key, texts.join("\n").toLowerCase());
    }
    return haystacks.get(key);
  }

  async function says(e, words) {
    if (e.base < 0) return words.every((w) => String(e.seed) === w);
    const content = await chunk(e.chunk);
    const found = [e.base, e.compressed].map((index) => haystack(content, e.chunk, index));
    return words.every((w) => String(e.seed) === w || found.some((text) => text.includes(w)));
  }

  const outcome = (e) => (e.after < e.before ? "lost" : e.after > e.before ? "gained" : "same");
  const FILTERS = ["method", "env", "outcome", "failure", "search"];

  async function filter() {
    const turn = ++asked;
    const [method, env, kind, failure] = FILTERS.map((name) => control(name).value);
    const words = control("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = data.episodes.filter((e) =>
      (!method || data.methods[e.method] === method)
      && (!env || data.envs[e.env] === env)
      && (!kind || outcome(e) === kind)
      && (!failure || data.failures[e.failure] === failure));
    if (words.length) {
      count.textContent = "Searching\u2026";
      const saying = [];
      for (const e of found) {
        if (await says(e, words)) saying.push(e);
        if (turn !== asked) return;
      }
      found = saying;
    }
    shown = found;
    list.replaceChildren();
    visible = 0;
    extend();
    count.textContent = `${shown.length.toLocaleString("en")} of ${data.episodes.length.toLocaleString("en")} episodes`;
    mark();
    performance.mark("episodes-listed");
  }

  // The filters are kept in the address, so that a view can be passed on.
  function keep() {
    const chosen = new URLSearchParams(FILTERS.map((name) => [name, control(name).value]));
    try {
      history.replaceState(null, "", `#?${chosen}`);
    } catch { /* some browsers forbid it for local files */ }
  }

  function extend() {
    const fragment = document.createDocumentFragment();
    for (const e of shown.slice(visible, visible + PAGE)) {
      const link = make("a", outcome(e));
      link.href = linkOf(e);
      link.append(
        make("span", "where", `${short(data.envs[e.env])} · ${e.seed}`),
        make("span", "returns", `${number(e.before)} → ${number(e.after)}`),
        make("span", "method", data.methods[e.method]),
      );
      if (e.failure >= 0) link.append(make("span", "failure", data.failures[e.failure]));
      const item = make("li");
      item.append(link);
      fragment.append(item);
    }
    list.append(fragment);
    visible = Math.min(visible + PAGE, shown.length);
    more.hidden = visible >= shown.length;
    more.textContent = `Show ${Math.min(PAGE, shown.length - visible)} more`;
  }

  function mark() {
    for (const link of list.querySelectorAll("a")) {
      const current = link.getAttribute("href") === location.hash;
      if (current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      const box = list.parentElement;
      if (current) box.scrollTop = link.offsetTop - box.clientHeight / 2;
    }
  }

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
    if (n * m > 250000) return [mine, changed]; // too long for the table below: all of it counts as changed
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

  // The text with what the other lacks in marks.
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

  const looksWrong = (text) => /^\W{0,3}\w*\s*(error|invalid|unknown|failed|cannot)\b/i.test(text);

  // The text in pieces, each coloured by what the compressed model makes of that token of the original's.
  function tinted(text, tokens) {
    if (tokens.tokens.join("") !== text && !tokens.tokens.join("").startsWith(text)) return null; // cut, or not its own
    let left = text.length;
    const parts = [];
    tokens.tokens.forEach((token, i) => {
      if (left <= 0) return;
      const part = make("span", tokens.flip[i] ? "token flip" : "token", token.slice(0, left));
      part.style.setProperty("--kl", Math.min(1, tokens.kl[i] / 3).toFixed(2));
      part.title = `KL ${tokens.kl[i].toFixed(2)} nats${tokens.flip[i] ? "; the compressed model's first choice is another" : ""}`;
      parts.push(part);
      left -= token.length;
    });
    return parts;
  }

  function message([role, textIndex, reward], { texts, opening, other, tokens, failures = [] }) {
    const text = texts[textIndex];
    const box = make("div", `message ${role}`);
    const speaker = role === "assistant" ? "model" : role === "user" && !opening ? "environment" : role;
    const head = make("p", "role", speaker);
    if (!opening && role !== "assistant" && looksWrong(text)) {
      box.classList.add("wrong");
      head.append(make("span", "tag", "error"));
    }
    for (const name of failures) {
      box.classList.add("wrong");
      head.append(make("span", "tag", name));
    }
    if (reward !== undefined) head.append(make("span", "reward", `reward ${reward > 0 ? "+" : ""}${number(reward)}`));
    const body = make("pre");
    const tints = tokens && coloured ? tinted(text, tokens) : null;
    if (tints) body.append(...tints);
    else if (other !== undefined) body.append(...marked(text, other));
    else body.textContent = text;
    if (text === "") body.textContent = "(empty)";
    box.append(head, body);
    if (text.length > LONG && other === undefined) {
      body.classList.add("folded");
      body.tabIndex = 0;
      const button = make("button", "unfold", `Show all ${text.length.toLocaleString("en")} characters`);
      button.type = "button";
      button.setAttribute("aria-expanded", "false");
      button.addEventListener("click", () => {
        const folded = body.classList.toggle("folded");
        button.setAttribute("aria-expanded", String(!folded));
        button.textContent = folded ? `Show all ${text.length.toLocaleString("en")} characters` : "Show less";
      });
      box.append(button);
    }
    return box;
  }

  // The messages of one side, each with its step and what is known of that.
  function sayings(content, index, e, isBase) {
    const messages = content.transcripts[index];
    const steps = messages.filter((m) => m.length > 2).length;
    const spoken = messages.filter(([role]) => role === "assistant").length;
    const turns = isBase && e.tokens >= 0 ? content.tokens[e.tokens] : [];
    let turn = -1;
    return messages.map((m, i) => {
      if (m[0] === "assistant") turn++;
      const own = m[0] === "assistant" ? turn - (spoken - steps) : -1;
      return {
        row: m,
        options: {
          texts: content.texts,
          opening: messages.slice(0, i + 1).every(([role]) => role !== "assistant"),
          tokens: m[0] === "assistant" ? turns.find((t) => t.turn === turn) : undefined,
          failures: isBase ? [] : e.failures.filter(([, step]) => step === own).map(([name]) => data.failures[name]),
        },
      };
    });
  }

  function column(title, said, from, partner, texts) {
    const part = make("section", "side");
    part.append(make("h4", "", title));
    if (from >= said.length) part.append(make("p", "note", "The episode had ended here."));
    const first = partner[from]?.row;
    said.slice(from).forEach(({ row, options }, i) => {
      const other = i === 0 && first && first[0] === row[0] ? texts[first[1]] : undefined;
      part.append(message(row, { ...options, opening: false, other }));
    });
    return part;
  }

  function legend(e) {
    const box = make("p", "legend");
    const label = make("label");
    const check = make("input");
    check.type = "checkbox";
    check.checked = coloured;
    check.addEventListener("change", () => {
      coloured = check.checked;
      open(e).then(() => detail.querySelector(".legend input")?.focus());
    });
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

  async function open(e) {
    const method = data.methods[e.method];
    const title = make("h3", "", `${short(data.envs[e.env])}, seed ${e.seed}`);
    title.tabIndex = -1;
    const change = outcome(e);
    const by = change === "same" ? "the same" : `${change} ${number(Math.abs(e.after - e.before))}`;
    const facts = make("p", "facts", `${method}: return ${number(e.before)} → ${number(e.after)}, ${by}.`);
    if (e.failure >= 0) facts.append(" Failure: ", make("strong", "", data.failures[e.failure]), ".");
    if (e.base < 0 || e.compressed < 0) {
      detail.replaceChildren(title, facts, make("p", "note", "No transcript of this episode was recorded."));
      return title;
    }
    const content = await chunk(e.chunk);
    const base = sayings(content, e.base, e, true);
    const compressed = sayings(content, e.compressed, e, false);
    const same = make("section", "same");
    if (e.fork > 0) {
      same.append(make("h4", "", "The same for both models"));
      base.slice(0, e.fork).forEach(({ row, options }, i) => {
        same.append(message(row, { ...options, failures: compressed[i].options.failures }));
      });
    }
    const fork = make("p", "fork");
    fork.append(make("strong", "", e.step > 0 ? `First difference: step ${e.step}` : "The transcripts are equal"));
    const sides = make("div", "sides");
    const { texts } = content;
    sides.append(column("Original", base, e.fork, compressed, texts), column(method, compressed, e.fork, base, texts));
    detail.replaceChildren(
      title, facts, ...(e.tokens >= 0 ? [legend(e)] : []), same, fork, ...(e.step > 0 ? [sides] : []),
    );
    return title;
  }

  function choose(values) {
    for (const name of FILTERS) control(name).value = values[name] ?? "";
  }

  async function follow(focus) {
    let parts;
    try {
      if (location.hash.startsWith("#?")) {
        choose(Object.fromEntries(new URLSearchParams(location.hash.slice(2))));
        if (data) filter();
        else load();
        return;
      }
      parts = location.hash.slice(1).split("/").map(decodeURIComponent);
    } catch {
      return; // not one of our links
    }
    if (parts.length < 2) return;
    load();
    const [method, env, seed] = parts;
    if (!data.methods.includes(method)) return;
    if (parts.length === 2) {
      choose({ method, env });
      filter();
      viewer.scrollIntoView();
      return;
    }
    const episode = data.episodes.find(
      (e) => data.methods[e.method] === method && data.envs[e.env] === env && String(e.seed) === seed,
    );
    if (!episode) {
      detail.replaceChildren(make("p", "note", "This page holds no such episode."));
      return;
    }
    let title;
    try {
      title = await open(episode);
    } catch {
      detail.replaceChildren(make("p", "note", "This browser cannot read compressed transcripts; a newer one can."));
      return;
    }
    mark();
    if (focus) title.focus({ preventScroll: true });
    detail.scrollIntoView({ block: "start" });
  }

  function refilter() {
    load();
    keep();
    filter();
  }

  for (const name of FILTERS.slice(0, -1)) control(name).addEventListener("change", refilter);
  let timer = 0;
  control("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(refilter, 150);
  });
  more.addEventListener("click", () => {
    const next = visible;
    extend();
    list.querySelectorAll("a")[next]?.focus();
    mark();
  });
  window.addEventListener("hashchange", () => follow(true));
  new IntersectionObserver((entries, observer) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      load();
    }
  }, { rootMargin: "600px" }).observe(viewer);
  follow(false);
})();
