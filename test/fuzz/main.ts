/**
 * main.js [CASES [SEED]]: so many cases (a million, if it is not said) of all targets, from a seed that is printed. What
 * fails says how to repeat it: fast-check its seed and path, the native driver the seed of the one case.
 */

import { buildDriver, NATIVE_TARGETS, withDriver } from './native.js';
import { TARGETS, withoutPrograms } from './targets.js';

const [cases = 1_000_000, seed = Math.floor(Math.random() * 2 ** 31)] = process.argv.slice(2).map(Number);
const countOf = (share: number): number => Math.ceil(cases * share);
let all = 0;

function timed(name: string, count: number, work: () => void): void {
  const start = performance.now();
  work();
  all += count;
  console.log(`${name}: ${count} cases, ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

console.log(`fuzz: seed ${seed}`);
withoutPrograms(() => {
  for (const [name, { share, run }] of Object.entries(TARGETS))
    timed(name, countOf(share), () => run(countOf(share), seed));
});
buildDriver();
withDriver((runTarget) => {
  for (const [name, share] of Object.entries(NATIVE_TARGETS))
    timed(name, countOf(share), () => process.stdout.write(runTarget(name, countOf(share), seed)));
});
console.log(`fuzz: ${all} cases, nothing found`);
