// The viewer: a list of episodes, of which only the rows in sight are on the page; filters; links to all of it.
(() => {
  "use strict";
  const viewer = document.getElementById("episodes");
  const list = document.getElementById("episode-list");
  if (!viewer || !list) return;
  const { draw, legend, make, number } = transcripts;
  const FILTERS = ["method", "env", "outcome", "failure", "search"];
  const COLUMNS = [
    "method", "env", "seed", "before", "after", "failures", "failure", "chunk", "base", "compressed", "fork", "step",
    "tokens",
  ];
  const MARGIN = 8; // rows above and below those in sight
  const PAUSE = 150; // milliseconds without a key until a search starts
  const control = (name) => viewer.querySelector(`[name="${name}"]`);
  const scroller = document.getElementById("episode-scroller");
  const count = document.getElementById("episode-count");
  const detail = document.getElementById("episode");
  const short = (envId) => envId.replace(/^acenv\//, "").replace(/-v0$/, "");
  let data = null;
  let episodes = [];
  let shown = [];
  let active = 0; // row that the Tab key leads to
  let opened = null;
  let asked = 0; // number of the last filtering: an older one that is still searching gives up
  let coloured = true;

  // Parsing waits until the viewer is needed: the figures above it can be read at once.
  function load() {
    if (data) return;
    data = JSON.parse(document.getElementById("episodes-index").textContent);
    episodes = data.rows.map(readRow);
  }

  function readRow(row) {
    const e = Object.fromEntries(COLUMNS.map((name, i) => [name, row[i]]));
    e.methodName = data.methods[e.method];
    e.envName = data.envs[e.env];
    e.failureName = e.failure >= 0 ? data.failures[e.failure] : "";
    e.failures = e.failures.map(([name, step]) => [data.failures[name], step]);
    e.change = e.before === null || e.after === null ? null : e.after - e.before;
    e.outcome = e.change === null ? "error" : e.change < 0 ? "lost" : e.change > 0 ? "gained" : "same";
    e.key = `${e.methodName}/${e.envName}/${e.seed}`;
    return e;
  }

  // The transcripts of a chunk, decompressed when they are first asked for.
  const chunks = new Map();
  function chunk(index) {
    if (!chunks.has(index)) chunks.set(index, unpack(document.getElementById(`chunk-${index}`).textContent));
    return chunks.get(index);
  }

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  // Filters and search.

  const chosen = () => Object.fromEntries(FILTERS.map((name) => [name, control(name).value]));

  function passes(e, { method, env, outcome, failure }) {
    return (!method || e.methodName === method)
      && (!env || e.envName === env)
      && (!outcome || e.outcome === outcome)
      && (!failure || e.failureName === failure);
  }

  // Those of which a transcript has all the words; texts are looked at once, however many episodes share them.
  async function saying(found, words, isCurrent) {
    const hits = new Set();
    for (const [index, some] of byChunk(found)) {
      const content = await chunk(index);
      await new Promise((resolve) => setTimeout(resolve)); // keys and scrolling come first
      if (!isCurrent()) return null;
      content.lower ??= content.texts.map((text) => text.toLowerCase());
      const within = words.map((word) => content.lower.map((text) => text.includes(word)));
      for (const e of some) {
        const isIn = (side) => side >= 0 && words.every((word, i) =>
          String(e.seed) === word || content.transcripts[side].some(([, text]) => within[i][text]));
        if (isIn(e.base) || isIn(e.compressed)) hits.add(e);
      }
    }
    return found.filter((e) => hits.has(e));
  }

  function byChunk(found) {
    const groups = new Map();
    for (const e of found) {
      if (!groups.has(e.chunk)) groups.set(e.chunk, []);
      groups.get(e.chunk).push(e);
    }
    return groups;
  }

  async function filter() {
    const turn = ++asked;
    const values = chosen();
    const words = values.search.toLowerCase().split(/\s+/).filter(Boolean);
    let found = episodes.filter((e) => passes(e, values));
    if (words.length) {
      count.textContent = "Searching\u2026";
      try {
        found = await saying(found, words, () => turn === asked);
      } catch {
        count.textContent = "This browser cannot search compressed transcripts; a newer one can.";
        return;
      }
      if (found === null) return;
    }
    shown = found;
    active = Math.max(0, shown.indexOf(opened));
    list.replaceChildren();
    reveal(active);
    paint();
    count.textContent = `${shown.length.toLocaleString("en")} of ${episodes.length.toLocaleString("en")} episodes`;
    performance.mark("episodes-listed");
  }

  // The list.

  function rowOf(index) {
    const e = shown[index];
    const link = make("a", e.outcome);
    link.href = address(e);
    const change = e.change === null ? "no return" : e.outcome === "same" ? "same" : `${e.outcome} ${number(Math.abs(e.change))}`;
    link.append(
      make("span", "where", `${short(e.envName)} · ${e.seed}`),
      make("span", "change", change),
      make("span", "returns", `${number(e.before)} → ${number(e.after)}`),
      make("span", "failure", e.failureName),
      make("span", "method", e.methodName),
    );
    const item = make("li");
    item.dataset.row = index;
    item.setAttribute("aria-setsize", shown.length);
    item.setAttribute("aria-posinset", index + 1);
    item.style.setProperty("--row", index);
    item.append(link);
    return item;
  }

  const rowHeight = () => parseFloat(getComputedStyle(list).getPropertyValue("--row-height"))
    * parseFloat(getComputedStyle(document.documentElement).fontSize);

  // Puts the rows in sight on the page, and takes the others off. Rows that stay are not touched: they keep the focus.
  function paint() {
    const height = rowHeight();
    list.style.setProperty("--rows", shown.length);
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - MARGIN);
    const last = Math.min(shown.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / height) + MARGIN);
    const wanted = new Set(shown.length ? [active] : []);
    for (let i = first; i < last; i++) wanted.add(i);
    for (const item of [...list.children]) {
      if (!wanted.delete(Number(item.dataset.row))) item.remove();
    }
    for (const index of [...wanted].sort((a, b) => a - b)) {
      const next = [...list.children].find((item) => Number(item.dataset.row) > index) ?? null;
      list.insertBefore(rowOf(index), next);
    }
    for (const item of list.children) {
      const index = Number(item.dataset.row);
      const link = item.firstChild;
      link.tabIndex = index === active ? 0 : -1;
      if (shown[index] === opened) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  // Scrolls the list, not the page, to a row.
  function reveal(index) {
    const height = rowHeight();
    list.style.setProperty("--rows", shown.length);
    const [top, size] = [index * height, scroller.clientHeight];
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + height > scroller.scrollTop + size) scroller.scrollTop = top + height - size;
  }

  function moveTo(index) {
    active = Math.min(Math.max(0, index), shown.length - 1);
    reveal(active);
    paint();
    list.querySelector(`[data-row="${active}"] a`)?.focus({ preventScroll: true });
  }

  function onKey(event) {
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight()) - 1);
    const targets = {
      ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page,
      Home: 0, End: shown.length - 1,
    };
    if (!(event.key in targets) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    moveTo(targets[event.key]);
  }

  // An episode.

  function heading(e) {
    const title = make("h3", "", `${short(e.envName)}, seed ${e.seed}`);
    title.tabIndex = -1;
    const change = e.change === null ? "which cannot be compared"
      : e.outcome === "same" ? "the same" : `${e.outcome} ${number(Math.abs(e.change))}`;
    const facts = make("p", "facts", `${e.methodName}: return ${number(e.before)} → ${number(e.after)}, ${change}.`);
    if (e.failureName) facts.append(" Failure: ", make("strong", "", e.failureName), ".");
    return [title, facts];
  }

  function steps(e) {
    const box = make("p", "steps");
    const index = shown.indexOf(e);
    const link = (text, target) => {
      if (!target) return;
      const a = make("a", "", text);
      a.href = target === e ? address(null) : address(target);
      box.append(a);
    };
    if (index >= 0) {
      link("← Previous", shown[index - 1]);
      link("Next →", shown[index + 1]);
    }
    link("Back to the list", e);
    return box;
  }

  async function open(e) {
    opened = e;
    const head = [...heading(e), steps(e)];
    if (e.base < 0 || e.compressed < 0) {
      detail.replaceChildren(...head, make("p", "note", "No transcripts of this episode were recorded by both."));
      return;
    }
    let content;
    try {
      content = await chunk(e.chunk);
    } catch {
      detail.replaceChildren(...head, make("p", "note", "This browser cannot read compressed transcripts; a newer one can."));
      return;
    }
    if (opened !== e) return; // another one was chosen meanwhile
    const colours = e.tokens < 0 ? [] : [legend(coloured, (isOn) => {
      coloured = isOn;
      open(e).then(() => detail.querySelector(".legend input")?.focus());
    })];
    detail.replaceChildren(...head, ...colours, ...draw(e, content, coloured));
  }

  function close() {
    opened = null;
    detail.replaceChildren(make("p", "note", detail.dataset.empty));
  }

  // The address: "#episode=<method>/<env>/<seed>&env=...&search=...", so that an episode and a view can be passed on.

  function address(e) {
    const values = { episode: e ? e.key : "", ...chosen() };
    const parts = Object.entries(values).filter(([, value]) => value);
    const readable = (text) => encodeURIComponent(text).replace(/%(2F|3A|3D|2C)/g, decodeURIComponent);
    return `#${parts.length ? parts.map(([name, value]) => `${name}=${readable(value)}`).join("&") : "episodes"}`;
  }

  function fromAddress() {
    const parts = location.hash.slice(1).split("&").map((part) => [part.split("=", 1)[0], part.split("=").slice(1).join("=")]);
    try {
      return Object.fromEntries(parts.map(([name, value]) => [name, decodeURIComponent(value)]));
    } catch {
      return {}; // not one of our links
    }
  }

  async function follow(isFirst) {
    const values = fromAddress();
    const isOurs = [...FILTERS, "episode"].some((name) => values[name]);
    if (!isOurs && location.hash !== "#episodes") return;
    load();
    const before = JSON.stringify(chosen());
    for (const name of FILTERS) {
      control(name).value = values[name] ?? "";
      if (control(name).selectedIndex === -1) control(name).value = ""; // a filter that this page has not
    }
    const episode = episodes.find((e) => e.key === values.episode);
    opened = episode ?? null;
    if (isFirst || before !== JSON.stringify(chosen())) await filter();
    else {
      if (shown.includes(opened)) active = shown.indexOf(opened);
      reveal(active);
      paint();
    }
    if (episode) await open(episode);
    else close();
    if (values.episode && !episode) detail.replaceChildren(make("p", "note", "This page holds no such episode."));
    if (values.episode) {
      detail.querySelector("h3")?.focus({ preventScroll: true });
      detail.scrollIntoView({ block: "start" });
      return;
    }
    viewer.scrollIntoView();
    if (!isFirst) moveTo(active); // back from an episode
  }

  function refilter() {
    load();
    try {
      history.replaceState(null, "", address(opened));
    } catch { /* some browsers forbid it for local files */ }
    filter();
  }

  let timer = 0;
  for (const name of FILTERS.slice(0, -1)) control(name).addEventListener("change", refilter);
  control("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(refilter, PAUSE);
  });
  scroller.addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
  list.addEventListener("keydown", onKey);
  window.addEventListener("resize", () => data && paint());
  window.addEventListener("hashchange", () => follow(!data));
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    if (data) return;
    load();
    filter();
  }, { rootMargin: "600px" }).observe(viewer);
  close();
  follow(true);
})();
