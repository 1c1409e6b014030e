import { randomFillSync } from "node:crypto";

/** The only door for randomness outside cryptography. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
}

/** Bytes of one draw: more than a double can tell apart would be wasted. */
const drawBytes = 6;
/** Drawn ahead, because asking the operating system costs far more than a number is worth. */
const ahead = Buffer.alloc(drawBytes * 1024);
let aheadUsed = ahead.length;

/** From the operating system. */
export const systemRandom: Random = {
  next() {
    if (aheadUsed === ahead.length) {
      randomFillSync(ahead);
      aheadUsed = 0;
    }
    aheadUsed += drawBytes;
    return ahead.readUIntBE(aheadUsed - drawBytes, drawBytes) / 2 ** 48;
  },
};

/** The same numbers for the same seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}

/** Kubernetes' alphabet for generated suffixes: no vowels, nothing that reads like another character. */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

function draw(random: Random, characters: string, length: number): string {
  let drawn = "";
  while (drawn.length < length) drawn += characters[Math.floor(random.next() * characters.length)];
  return drawn;
}

/** `length` characters of that alphabet, as `generateName` appends five. */
export const suffix = (random: Random, length = 5): string => draw(random, alphabet, length);

/** A version 4 UUID drawn from `random`, so that a seeded run repeats its identities. */
export function uuid(random: Random): string {
  const hex = draw(random, "0123456789abcdef", 32);
  const variant = draw(random, "89ab", 1);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
