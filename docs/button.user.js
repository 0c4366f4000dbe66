// ==UserScript==
// @name         Headgate: Run ingestion
// @description  The button "Run ingestion" on DataHub's dataset pages, where Headgate does not stand before DataHub.
// @namespace    headgate
// @version      1
// @match        https://datahub.example.com/*
// @grant        none
// @run-at       document-end
// ==/UserScript==

// Change two addresses: DataHub's in @match above, Headgate's here. See button.md, "As a user script".
const HEADGATE = "https://datahub.example.com:8090";

const script = document.createElement("script");
script.src = `${HEADGATE}/headgate/button.js`;
script.dataset.api = HEADGATE;
document.head.append(script);
