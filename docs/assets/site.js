// What scrolls can be reached by keyboard, and what is a dialog or a landmark has a name.
function name_all() {
  for (const part of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (part.scrollWidth > part.clientWidth && part.tabIndex < 0) {
      part.tabIndex = 0
      part.setAttribute("role", "group")
      part.setAttribute("aria-label", "Table")
    }
  }
  for (const part of document.querySelectorAll(".md-code__nav")) part.setAttribute("role", "none")
  for (const part of document.querySelectorAll(".md-search[role=dialog]")) part.setAttribute("aria-label", "Search")
}

new MutationObserver(name_all).observe(document.body, { childList: true, subtree: true })
window.addEventListener("load", name_all)
window.addEventListener("resize", name_all)
