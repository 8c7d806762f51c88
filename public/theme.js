// Before the first paint: the scheme that the user chose over the system's, so that a dark page does not flash white.
{
  let theme;
  try { theme = localStorage.getItem("postern.theme"); } catch { /* storage is forbidden: the system's scheme */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
