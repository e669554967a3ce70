/** Settings for lighttpd, which serves a folder on a port. */
export const settings = (port: number, root: string): string => `
server.port = ${port}
server.document-root = "${root}"
mimetype.assign = ( ".html" => "text/html; charset=utf-8", ".txt" => "text/plain" )
`;
