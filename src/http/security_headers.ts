/** No inline script or style, nothing from elsewhere, no frame around us. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/**
 * What every answer carries. HSTS only where the public address is https: on plain http it means nothing, and for a
 * host that is also reached by http it would lock users out.
 */
export function securityHeaders(publicUrl: string): Record<string, string> {
  const headers: Record<string, string> = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    // Not no-referrer: that turns the Origin of a form into null, which the check against forged requests needs.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
  };
  if (publicUrl.startsWith("https:")) headers["strict-transport-security"] = "max-age=31536000";
  return headers;
}
