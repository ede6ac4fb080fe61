import { describe, expect, it } from "vitest";
import {
  folderOf,
  isRemote,
  joinLocation,
  localFolder,
  locate,
  parseObjectUri,
  publicLocation,
  relativeLocation,
  rememberSigned,
  resolveLocation,
  shownLocation,
} from "../../src/storage/location.ts";

describe("which locations are remote", () => {
  it.each(["s3://b/k", "gs://b/k", "az://c/k", "https://h/k", "S3://b/k"])("%s is", (uri) => {
    expect(isRemote(uri)).toBe(true);
  });
  it.each(["/s3://b", "s3:/b/k", "file:///a", "a/b", "ftp://h/k"])("%s is not", (path) => {
    expect(isRemote(path)).toBe(false);
  });
});

it.each([
  ["s3://b/a b#c?d%20/é.txt", "b", "a b#c?d%20/é.txt"],
  ["az://c/folder/", "c", "folder/"],
  ["gs://b", "b", ""],
  ["https://h:8/a%20b?x=1#y", "h:8", "a%20b"],
])("%s is of %s, under the key %s", (uri, bucket, key) => {
  expect(parseObjectUri(uri)).toMatchObject({ bucket, key });
});

it.each(["s3:///k", "s3://b//k", "s3://b/a//k", "s3://b/k ", "http://example.org/k", "https://[/k"])(
  "%s is refused",
  (uri) => {
    expect(() => parseObjectUri(uri)).toThrow(expect.objectContaining({ code: "bad-uri", kind: "bad-configuration" }));
  },
);

it("reads http:// from this machine alone", () => {
  for (const host of ["localhost", "127.0.0.1:80", "[::1]:8"]) expect(parseObjectUri(`http://${host}/k`).key).toBe("k");
});

describe("what may be shown of a URL", () => {
  it.each([
    ["https://user:word@h/a.parquet", "https://h/a.parquet"],
    ["https://h/a?X-Amz-Credential=AK&X-Amz-Signature=abc", "https://h/a"],
    ["https://h/a?sv=1&sig=abc%3D", "https://h/a"],
    ["https://h/a?token=abc&part=1", "https://h/a"],
    ["https://h/a?GoogleAccessId=x&Expires=1&Signature=y", "https://h/a"],
    ["https://h/a?download=true", "https://h/a?download=true"],
    ["s3://b/a?sig=1", "s3://b/a?sig=1"], // a key
  ])("%s: %s", (uri, shown) => {
    expect(publicLocation(uri)).toBe(shown);
    expect(shownLocation(uri)).toBe(shown.startsWith("https") ? shown.replace(/\?.*/, "") : shown);
  });

  it("is read with what it was given with", () => {
    const signed = "https://h/once?sig=abc";
    expect(rememberSigned(signed)).toBe("https://h/once");
    expect(locate("", "https://h/once")).toBe(signed);
    expect(joinLocation("", "https://h/once")).toBe("https://h/once");
  });
});

it.each([
  ["/base", "a/b", "/base/a/b"],
  ["/base", "/a/b", "/a/b"],
  ["/base", "file:///a%20b", "/a b"],
  ["/base", "s3://b/../k", "s3://b/../k"],
  ["s3://b/out/run", "../corpus", "s3://b/out/corpus"],
  ["s3://b/out", ".", "s3://b/out"],
  ["s3://b/out", "../../..", "s3://b"],
  ["s3://b/out", "/a", "/a"],
])("from %s, %s is %s", (base, location, resolved) => {
  expect(resolveLocation(base, location)).toBe(resolved);
});

it.each([
  ["s3://b/out/manifest.json", "s3://b/out"],
  ["s3://b/manifest.json", "s3://b"],
  ["https://h/a/m.json?x=/1", "https://h/a"],
  ["/a/m.json", "/a"],
])("%s lies in %s", (location, folder) => {
  expect(folderOf(location)).toBe(folder);
});

it("names files below a folder by a path, and objects by their URI", () => {
  expect(relativeLocation("/a/b", "/a/c/d")).toBe("../c/d");
  expect(relativeLocation("/a/b", "s3://b/k")).toBe("s3://b/k");
  expect(joinLocation("/a", "c/d")).toBe("/a/c/d");
  expect(joinLocation("s3://b/a/", "c/d")).toBe("s3://b/a/c/d");
});

describe("where a command writes into a folder", () => {
  it("is the folder, absolute; a URI is refused rather than made a folder of that name", () => {
    expect(localFolder("/sets/a", "export")).toBe("/sets/a");
    expect(() => localFolder("s3://bucket/set", "export")).toThrow(
      expect.objectContaining({
        code: "bad-output",
        exitStatus: 2,
        message: expect.stringContaining("name one as --output"),
      }),
    );
  });
});
