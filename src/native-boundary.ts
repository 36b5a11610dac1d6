/** What native parts give to one another by way of JavaScript. Part of native.ts. */

declare const boundaryBrand: unique symbol;
/** An opaque native listener that is told, inside the pause, that an epoch has closed. */
export type NativeBoundary = { readonly [boundaryBrand]: true };

declare const triggerBrand: unique symbol;
/** An opaque native call that is prepared; whoever is given it may begin it. */
export type NativeTrigger = { readonly [triggerBrand]: true };
