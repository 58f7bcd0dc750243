// Light or dark: as the system has it, until the button says otherwise. Runs before anything is painted.
{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("theme") ?? (dark.matches ? "dark" : "light");
  const apply = () => {
    document.documentElement.dataset.theme = chosen();
    dispatchEvent(new Event("theme"));
  };
  dark.addEventListener("change", apply);
  addEventListener("click", (event) => {
    if (!event.target.closest?.("#theme")) return;
    localStorage.setItem("theme", chosen() === "dark" ? "light" : "dark");
    apply();
  });
  apply();
}
