// Passkeys (Web Authentication, level 3): a form with data-passkey asks the browser for a credential and sends that.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const supported = window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON;
    const button = form.querySelector("button[type=submit]");
    if (!supported) {
      button.disabled = true;
      show(form, "unsupported");
      continue;
    }
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      button.disabled = true;
      ask(form).then((credential) => {
        form.elements.credential.value = JSON.stringify(credential.toJSON());
        form.submit();
      }).catch(() => {
        button.disabled = false;
        show(form, "failed");
      });
    });
  }
});

async function ask(form) {
  if (form.dataset.passkey === "create") {
    const options = given().creation_options.publicKey;
    const alone = form.elements.passwordless && form.elements.passwordless.checked;
    options.authenticatorSelection = {
      ...options.authenticatorSelection,
      residentKey: alone ? "required" : "discouraged",
      requireResidentKey: alone,
      ...(alone ? { userVerification: "required" } : {}),
    };
    return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
  }
  const options = form.dataset.passkey === "sign-in" ? await fetched(form.action) : given().request_options;
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey) });
}

function given() {
  return JSON.parse(document.getElementById("passkey-options").textContent);
}

async function fetched(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(String(response.status));
  return (await response.json()).request_options;
}

function show(form, name) {
  for (const one of form.querySelectorAll("[data-passkey-notice]")) one.hidden = one.dataset.passkeyNotice !== name;
}
