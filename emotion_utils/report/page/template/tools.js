
// A choice of light or dark, buttons that copy code, and what a reference points to beside the pointer.
(() => {
  const root = document.documentElement;
  const remember = (theme) => {
    try {
      localStorage.setItem("theme", theme);
    } catch {} // a page from a folder may have no storage
  };
  const recall = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  };
  const button = (text, label, parent, act) => {
    const made = parent.appendChild(document.createElement("button"));
    made.type = "button";
    made.textContent = text;
    if (label) made.setAttribute("aria-label", label);
    made.addEventListener("click", () => act(made));
    return made;
  };

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const chosen = recall();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  const toggle = button("", "", document.querySelector("header.title"), () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    name();
  });
  const name = () => (toggle.textContent = isDark() ? "Light page" : "Dark page");
  toggle.className = "theme";
  name();

  for (const code of document.querySelectorAll("pre.command, details.code pre")) {
    const frame = code.parentElement.insertBefore(document.createElement("div"), code);
    frame.className = "copied";
    frame.append(code);
    const copy = button("Copy", "Copy this code", frame, async () => {
      try {
        await navigator.clipboard.writeText(code.textContent.trim());
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code); // to be copied by hand
        copy.textContent = "Selected";
      }
      setTimeout(() => (copy.textContent = "Copy"), 2000);
    });
  }

  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.setAttribute("role", "tooltip");
  tip.id = "tip";
  const hide = () => tip.classList.remove("shown");
  const show = (link) => {
    const target = document.getElementById(link.hash.slice(1));
    const said = target && (target.querySelector("figcaption") ?? target);
    if (!said) return;
    tip.textContent = said.textContent.trim();
    tip.classList.add("shown");
    const box = link.getBoundingClientRect();
    const left = Math.min(box.left, innerWidth - tip.offsetWidth - 16);
    const below = box.bottom + 8 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${below ? box.bottom + 8 : box.top - 8 - tip.offsetHeight}px`;
  };
  for (const link of document.querySelectorAll("a.ref, sup.cite a")) {
    link.setAttribute("aria-describedby", "tip");
    link.addEventListener("pointerenter", () => show(link));
    link.addEventListener("focus", () => show(link));
    for (const event of ["pointerleave", "blur", "click"]) link.addEventListener(event, hide);
  }
  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
})();
