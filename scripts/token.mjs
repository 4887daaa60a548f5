// Mints a token for development: TOKEN=$(npm run -s token -- --sub ana)
import { createHmac } from "node:crypto";
import { parseArgs } from "node:util";
import { Failure, isMain, main } from "./project.mjs";
import { devSecret } from "./secret.mjs";

const HELP = `Prints a signed token (JWT, HS256).

  npm run -s token -- --sub ana

  --sub ID        whom the token is for (required)
  --role ROLE     "user" (default), or another, such as "service"
  --rooms LIST    the rooms it opens, separated by commas: investigation:1,chat:*
  --ttl SECONDS   how long it is valid (default 3600; a negative one is expired already)
  --name NAME     optional claim
  --email EMAIL   optional claim
  --secret KEY    the signing key (default: JWT_SECRET_KEY of .dev.vars)
`;

const NAMES = ["sub", "role", "rooms", "ttl", "name", "email", "secret"];
const OPTIONS = {
  ...Object.fromEntries(NAMES.map((name) => [name, { type: "string" }])),
  help: { type: "boolean", short: "h" },
};

/**
 * @param {Record<string, unknown>} claims
 * @param {string} secret
 * @returns {string}
 */
export function sign(claims, secret) {
  const body = [{ alg: "HS256", typ: "JWT" }, claims].map(encode).join(".");
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function claimsFrom({ sub, role = "user", rooms, ttl = "3600", name, email }) {
  if (!sub) throw new Failure("--sub is missing: whom is the token for? (--help shows the options)");
  if (!/^-?\d+$/.test(ttl)) throw new Failure(`--ttl must be a number of seconds, not "${ttl}"`);
  const iat = Math.floor(Date.now() / 1000);
  return { sub, role, type: "access", iat, exp: iat + Number(ttl), name, email, rooms: rooms?.split(",") };
}

function print() {
  const { help, secret, ...values } = parseArgs({ options: OPTIONS }).values;
  if (help) return console.log(HELP.trimEnd());
  const claims = claimsFrom(values);
  console.log(sign(claims, secret ?? devSecret()));
}

if (isMain(import.meta.url)) await main(print);
