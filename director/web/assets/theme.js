// The theme is the browser's, unless somebody chose one. This file is read before
// the page is drawn, so that it does not flash.
"use strict";
try {
  const chosen = localStorage.getItem("lvsd-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage the choice is forgotten.
}
