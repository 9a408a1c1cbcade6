/** Keeps what the page has loaded; files.js changes with every version of the page. */

importScripts("files.js");

const CACHE = `edge-melanoma-${self.SITE_VERSION}`;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(self.SITE_FILES)));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => {
  event.waitUntil(dropOthers().then(() => self.clients.claim()));
});

/** The page tells what else it has loaded: the WebAssembly that fits this browser. */
self.addEventListener("message", (event) => {
  event.waitUntil(keep(event.data).then(() => event.source.postMessage("kept")));
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(
    caches.open(CACHE).then(async (cache) => (await cache.match(event.request)) ?? fetch(event.request)),
  );
});

async function keep(urls) {
  const cache = await caches.open(CACHE);
  const found = await Promise.all(urls.map((url) => cache.match(url)));
  await cache.addAll([...new Set(urls.filter((_, number) => !found[number]))]);
}

async function dropOthers() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("edge-melanoma-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}
