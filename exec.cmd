@rem What `exec` is to a shell: npm runs the scripts through cmd.exe on Windows, which finds this file beside package.json.
@%*
