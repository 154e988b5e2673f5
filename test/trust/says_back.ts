export type SayingBack = {
  /** What secrets have in them. */
  mark: string;
  /** What its token server gives. */
  token: string;
  /** The port that it redirects to. */
  elsewhere(): number;
  /** Gets what is sent to `/telltale`. */
  told(body: string): void;
};

/** A server that says all that it was sent back: in its body, its headers and its status text, in several spellings. */
export async function sayBack(request: Request, { mark, token, elsewhere, told }: SayingBack): Promise<Response> {
  const url = new URL(request.url);
  const [, kind = "", status = "200"] = url.pathname.split("/");
  const body = await request.text();
  if (kind === "telltale") told(body);
  const heard = [...request.headers].filter(([name]) => !name.startsWith("webhook-")).map(([, value]) => value);
  const words = [...heard, ...heard.flatMap((value) => value.split(" ")), ...url.searchParams.values()];
  const basic = /Basic (\S+)/.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
  words.push(
    Buffer.from(basic, "base64").toString(),
    decodeURIComponent(body.replaceAll("+", " ").replaceAll("%%", "")),
  );
  const spelt = words.flatMap((word) => [word, encodeURIComponent(word), Buffer.from(word).toString("base64")]);
  const headers = {
    "x-said": encodeURIComponent(words.join(" ")),
    "x-heard": words.join(" ").replaceAll(/[^\x20-\x7e]/g, " "),
    etag: `"${heard.join(" ").replaceAll(/[^\x20-\x7e]/g, " ")}"`,
    "content-type": "application/json",
  };
  const statusText = words
    .join(" ")
    .replaceAll(/[^\x20-\x7e]/g, " ")
    .slice(0, 200);
  if (kind === "plain") return Response.json({ a: 1 });
  if (kind === "token") return Response.json({ access_token: token, expires_in: 3600 });
  if (kind === "refusal")
    return Response.json({ error: "no", error_description: `${"x".repeat(230)}${body}${spelt}` }, { status: 400 });
  if (kind === "graphql") return Response.json({ errors: [{ message: `unknown token ${spelt.join(" ")}` }] });
  if (kind === "link") {
    headers["x-said"] = "";
    const link = `<http://${encodeURIComponent(heard.find((value) => value.includes(mark))?.replace(/^\w+ /, "") ?? "none")}.example/>; rel="next"`;
    return Response.json({ list: [] }, { headers: { ...headers, link } });
  }
  if (kind === "redirect") {
    return new Response(null, {
      status: 302,
      headers: { location: `http://127.0.0.1:${elsewhere()}/say/500?x=${encodeURIComponent(spelt[0] ?? "")}` },
    });
  }
  // The first secret lies across the place where a kept body is cut.
  const filler = "x".repeat(kind === "across" ? (Number(status) < 300 ? 1_010 : 16_370) : 0);
  const said =
    kind === "across"
      ? `{"a":1,"said":"${filler}${heard.find((value) => value.includes(mark)) ?? ""}`
      : JSON.stringify({ a: 1, said: spelt, in_small_letters: spelt.map((each) => each.toLowerCase()) });
  return new Response(said, { status: Number(status), statusText, headers });
}
