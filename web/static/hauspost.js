// Comfort only: every page works without this file.
"use strict";

document.documentElement.classList.add("with-js");

// Choose all letters of the page with one box.
document.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement) || box.type !== "checkbox") return;
  const form = box.form;
  if (!form || !form.classList.contains("letters-form")) return;
  const boxes = [...form.querySelectorAll('input[name="uid"]')];
  const all = form.querySelector("[data-all]");
  if (box === all) boxes.forEach((one) => (one.checked = all.checked));
  const chosen = boxes.filter((one) => one.checked).length;
  if (all) {
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
});

// Ask once before what cannot be undone on this page.
document.addEventListener("submit", (event) => {
  const question = event.submitter && event.submitter.dataset.ask;
  if (question && !window.confirm(question)) event.preventDefault();
});

// "/" goes to the search field; Escape closes an open menu.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const field = document.getElementById("q");
    if (field) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  }
  if (event.key === "Escape") {
    document.querySelectorAll("details.me[open]").forEach((menu) => menu.removeAttribute("open"));
  }
});

// A click beside the menu closes it.
document.addEventListener("click", (event) => {
  document.querySelectorAll("details.me[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  });
});

// A provider chosen in the account form fills in its server.
document.addEventListener("change", (event) => {
  const choice = event.target;
  if (!(choice instanceof HTMLSelectElement) || choice.id !== "preset") return;
  const option = choice.selectedOptions[0];
  if (!option || !option.dataset.host) return;
  for (const name of ["protocol", "host", "port", "tls"]) {
    const field = choice.form.elements[name];
    if (field) field.value = option.dataset[name];
  }
});
