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
    data = JSON.parse(document.getElementById("episodes-data").textContent);
    data.episodes = data.episodes.map(([method, env, seed, before, after, base, compressed, fork, step]) => ({
      method, env, seed, before, after, base, compressed, fork, step,
    }));
    filter();
  }

  const haystacks = new Map();
  function haystack(index) {
    if (index < 0) return "";
    if (!haystacks.has(index)) {
      const texts = data.transcripts[index].map(([, text]) => data.texts[text]);
      haystacks.set(index, texts.join("\n").toLowerCase());
    }
    return haystacks.get(index);
  }

  function filter() {
    const method = control("method").value;
    const env = control("env").value;
    const outcome = control("outcome").value;
    const words = control("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = data.episodes.filter((e) => {
      if (method && data.methods[e.method] !== method) return false;
      if (env && data.envs[e.env] !== env) return false;
      if (outcome && (e.after < e.before) !== (outcome === "lost")) return false;
      return words.every((w) => String(e.seed) === w || haystack(e.base).includes(w) || haystack(e.compressed).includes(w));
    });
    list.replaceChildren();
    visible = 0;
    extend();
    count.textContent = `${shown.length} of ${data.episodes.length} episodes`;
    mark();
  }

  function extend() {
    const fragment = document.createDocumentFragment();
    for (const e of shown.slice(visible, visible + PAGE)) {
      const link = make("a", e.after < e.before ? "lost" : "gained");
      link.href = linkOf(e);
      link.append(
        make("span", "where", `${short(data.envs[e.env])} · ${e.seed}`),
        make("span", "returns", `${number(e.before)} → ${number(e.after)}`),
        make("span", "method", data.methods[e.method]),
      );
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

  function message([role, textIndex, reward], opening, other) {
    const text = data.texts[textIndex];
    const box = make("div", `message ${role}`);
    const speaker = role === "assistant" ? "model" : role === "user" && !opening ? "environment" : role;
    const head = make("p", "role", speaker);
    if (!opening && role !== "assistant" && looksWrong(text)) {
      box.classList.add("wrong");
      head.append(make("span", "tag", "error"));
    }
    if (reward !== undefined) head.append(make("span", "reward", `reward ${reward > 0 ? "+" : ""}${number(reward)}`));
    const body = make("pre");
    if (other !== undefined) body.append(...marked(text, other));
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

  function column(title, messages, from, partner) {
    const part = make("section", "side");
    part.append(make("h4", "", title));
    if (from >= messages.length) part.append(make("p", "note", "The episode had ended here."));
    const first = partner[from];
    messages.slice(from).forEach((m, i) => {
      const other = i === 0 && first && first[0] === m[0] ? data.texts[first[1]] : undefined;
      part.append(message(m, false, other));
    });
    return part;
  }

  function open(e) {
    const method = data.methods[e.method];
    const title = make("h3", "", `${short(data.envs[e.env])}, seed ${e.seed}`);
    title.tabIndex = -1;
    const change = e.after < e.before ? "lost" : "gained";
    const facts = make("p", "facts", `${method}: return ${number(e.before)} → ${number(e.after)}, ${change} ${number(Math.abs(e.after - e.before))}.`);
    detail.replaceChildren(title, facts);
    if (e.base < 0 || e.compressed < 0) {
      detail.append(make("p", "note", "No transcript of this episode was recorded."));
      return title;
    }
    const base = data.transcripts[e.base];
    const compressed = data.transcripts[e.compressed];
    const same = make("section", "same");
    if (e.fork > 0) {
      same.append(make("h4", "", "The same for both models"));
      base.slice(0, e.fork).forEach((m, i) => {
        const opening = base.slice(0, i + 1).every(([role]) => role !== "assistant");
        same.append(message(m, opening));
      });
    }
    const fork = make("p", "fork");
    fork.append(make("strong", "", e.step > 0 ? `First difference: step ${e.step}` : "The transcripts are equal"));
    const sides = make("div", "sides");
    sides.append(column("Original", base, e.fork, compressed), column(method, compressed, e.fork, base));
    detail.append(same, fork, ...(e.step > 0 ? [sides] : []));
    return title;
  }

  function follow(focus) {
    let parts;
    try {
      parts = location.hash.slice(1).split("/").map(decodeURIComponent);
    } catch {
      return; // not one of our links
    }
    if (parts.length < 2) return;
    load();
    const [method, env, seed] = parts;
    if (!data.methods.includes(method)) return;
    if (parts.length === 2) {
      control("method").value = method;
      control("env").value = env;
      control("outcome").value = "";
      control("search").value = "";
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
    const title = open(episode);
    mark();
    if (focus) title.focus({ preventScroll: true });
    detail.scrollIntoView({ block: "start" });
  }

  for (const name of ["method", "env", "outcome"]) control(name).addEventListener("change", () => { load(); filter(); });
  let timer = 0;
  control("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { load(); filter(); }, 120);
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
