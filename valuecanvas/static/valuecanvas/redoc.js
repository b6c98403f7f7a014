// Redoc fetches its maker's logo from that maker's server: here a page asks nobody else.
(() => {
  const remote = "https://cdn.redoc.ly/";
  const nothing = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E";
  const here = (value) => (String(value).startsWith(remote) ? nothing : value);
  const set = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    set.call(this, name, name === "src" ? here(value) : value);
  };
  const image = HTMLImageElement.prototype;
  const src = Object.getOwnPropertyDescriptor(image, "src");
  Object.defineProperty(image, "src", {
    ...src,
    set(value) {
      src.set.call(this, here(value));
    },
  });
})();
