// A one-time link: what stands behind the # goes into the form, and out of the address bar and the history.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const field = document.querySelector("input[data-from-link]");
  const code = location.hash.slice(1);
  if (!field || !code) return;
  field.value = code;
  field.closest(".field").hidden = true;
  history.replaceState(null, "", location.pathname);
});
