// Passkeys: starts allauth's script for the form of this page, and shows its errors.
(() => {
  const call = JSON.parse(document.getElementById("webauthn-call").textContent);
  const form = document.getElementById(call.form);
  const button = form.querySelector("button[type=submit]");
  button.id = button.id || `${call.form}-button`;
  const error = document.getElementById("door-error");
  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    const secure = window.isSecureContext && window.PublicKeyCredential;
    error.textContent = secure
      ? "The passkey was not used: it was cancelled, or this device has none for this site. Try again."
      : "Passkeys work over https:// or at http://localhost only, in a browser that has them.";
    error.hidden = false;
  });
  button.addEventListener("click", (event) => event.preventDefault());
  window.allauth.webauthn.forms[call.call]({
    ids: {
      login: button.id,
      authenticate: button.id,
      signup: button.id,
      credential: call.credential,
      data: "webauthn-data",
    },
  });
})();
