/**
 * Property tests draw the same cases in every run, so that a red run can be repeated and a green one stays green.
 * DOREMI_TEST_SEED=random (or a number) draws others: do that after changing what they check.
 */
import fc from "fast-check";

const wish = process.env.DOREMI_TEST_SEED;
if (wish !== "random") fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(wish ?? 20230517) | 0 });
