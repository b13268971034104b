import assert from "node:assert/strict";
import test from "node:test";
import { type LabelSelector, selectorMatches, selectorText } from "./label-selector.ts";

const labels = { app: "train", tier: "", "example.com/team": "ml" };
type Expression = NonNullable<LabelSelector["matchExpressions"]>[number];
const where = (...matchExpressions: Expression[]): LabelSelector => ({ matchExpressions });

const cases: [string, LabelSelector | undefined, boolean][] = [
  ["no selector matches nothing", undefined, false],
  ["an empty selector matches everything", {}, true],
  ["empty lists match everything", { matchLabels: {}, matchExpressions: [] }, true],
  ["a label as it is", { matchLabels: { app: "train" } }, true],
  ["a label with another value", { matchLabels: { app: "serve" } }, false],
  ["all labels must be as they are", { matchLabels: { app: "train", "example.com/team": "vision" } }, false],
  ["an empty value is a value", { matchLabels: { tier: "" } }, true],
  ["a label that is missing has no empty value", { matchLabels: { zone: "" } }, false],
  ["what every object inherits is no label", where({ key: "constructor", operator: "Exists" }), false],
  ["In: one of the values", where({ key: "app", operator: "In", values: ["serve", "train"] }), true],
  ["In: none of the values", where({ key: "app", operator: "In", values: ["serve"] }), false],
  ["In: the label is missing", where({ key: "zone", operator: "In", values: ["a"] }), false],
  ["NotIn: none of the values", where({ key: "app", operator: "NotIn", values: ["serve"] }), true],
  ["NotIn: one of the values", where({ key: "app", operator: "NotIn", values: ["train"] }), false],
  ["NotIn: the label is missing", where({ key: "zone", operator: "NotIn", values: ["a"] }), true],
  ["Exists: it does, though empty", where({ key: "tier", operator: "Exists" }), true],
  ["Exists: it does not", where({ key: "zone", operator: "Exists" }), false],
  ["DoesNotExist: it does not", where({ key: "zone", operator: "DoesNotExist" }), true],
  ["DoesNotExist: it does", where({ key: "tier", operator: "DoesNotExist" }), false],
  [
    "all expressions must hold",
    where({ key: "app", operator: "Exists" }, { key: "tier", operator: "DoesNotExist" }),
    false,
  ],
  [
    "labels and expressions",
    { matchLabels: { app: "train" }, ...where({ key: "zone", operator: "DoesNotExist" }) },
    true,
  ],
];
for (const [what, selector, matches] of cases) {
  test(what, () => assert.equal(selectorMatches(selector, labels), matches));
}

test("an object without labels is matched by what asks for none", () => {
  assert.equal(selectorMatches({}, undefined), true);
  assert.equal(selectorMatches(where({ key: "app", operator: "DoesNotExist" }), undefined), true);
  assert.equal(selectorMatches({ matchLabels: { app: "train" } }, undefined), false);
});

test("a selector as kubectl would take it", () => {
  assert.equal(selectorText({}), "");
  assert.equal(
    selectorText({
      matchLabels: { app: "train", tier: "" },
      ...where(
        { key: "team", operator: "In", values: ["ml", "vision"] },
        { key: "zone", operator: "NotIn", values: ["b"] },
        { key: "gpu", operator: "Exists" },
        { key: "old", operator: "DoesNotExist" },
      ),
    }),
    "app=train,tier=,team in (ml,vision),zone notin (b),gpu,!old",
  );
});
