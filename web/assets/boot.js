// Loads the page's module. A file of its own, because the page allows no inline scripts.
import init from "/kvorum_web.js";

init({ module_or_path: "/kvorum_web_bg.wasm" }).catch((error) => {
  const box = document.getElementById("loading");
  if (box) {
    box.textContent = `The page could not be started: ${error?.message ?? error}`;
  }
});
