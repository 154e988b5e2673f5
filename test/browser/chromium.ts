import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PLACES = [
  process.env.DELTAHOOK_TEST_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

/** The browser of this machine, or null: then the tests skip, and say so. */
export const chromiumPath: string | null = PLACES.find((place) => place !== undefined && existsSync(place)) ?? null;

/** A headless browser that calls nobody by itself. */
export function openBrowser(): Promise<Browser> {
  if (chromiumPath === null) throw new Error("no Chromium on this machine");
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
