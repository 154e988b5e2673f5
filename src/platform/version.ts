import manifest from "../../package.json" with { type: "json" };

/** The one version number, of the package. */
export const VERSION: string = manifest.version;
