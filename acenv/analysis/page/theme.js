// Light or dark by hand; without a choice the page follows the system. Some browsers keep nothing for local files.
(() => {
  "use strict";
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remember = (value) => { try { localStorage.setItem("acenv-theme", value); } catch { /* not kept */ } };
  const recall = () => { try { return localStorage.getItem("acenv-theme"); } catch { return null; } };
  let chosen = recall();

  function show() {
    const isDark = chosen ? chosen === "dark" : dark.matches;
    document.documentElement.style.colorScheme = chosen || "";
    button.textContent = isDark ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark ? "Show the page in light colours" : "Show the page in dark colours");
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    chosen = (chosen ? chosen === "dark" : dark.matches) ? "light" : "dark";
    remember(chosen);
    show();
  });
  dark.addEventListener("change", show);
  show();
})();
