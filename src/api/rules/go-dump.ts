export const goDifference = (_type: string, _old: object, _next: object): string => "";
