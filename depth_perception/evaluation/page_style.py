"""The look of the HTML pages, light and dark."""

STYLE = """
:root{--page:#fbfbf9;--card:#fff;--ink:#1c1f23;--soft:#626a73;--line:#e2e4e3;--accent:#b3261e;
--second:#2f6db5;--note:#fff6e0}
@media(prefers-color-scheme:dark){:root{--page:#14161a;--card:#1c1f24;--ink:#e7e9ec;
--soft:#9aa3ad;--line:#31363d;--accent:#ff8a7a;--second:#7db4f5;--note:#2c2718}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1240px;margin:0 auto;padding:48px 28px 72px}
header{margin-bottom:28px}
h1{font-size:34px;line-height:1.15;letter-spacing:-.02em;margin:0 0 8px}
header p{font-size:18px;color:var(--soft);margin:0;max-width:64ch}
h2{font-size:22px;letter-spacing:-.01em;margin:0 0 8px}
h3{font-size:13px;font-weight:600;color:var(--soft);margin:30px 0 0}
section{margin-top:52px}
p{margin:0 0 14px;max-width:78ch}
.note{background:var(--note);border-radius:8px;padding:10px 14px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:14px;
margin:10px 0 22px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:16px 18px}
.tiles b{display:block;font-size:30px;line-height:1.1;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}
.tiles span{display:block;margin-top:6px}
.tiles i{display:block;font-style:normal;font-size:13px;color:var(--soft)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(330px,1fr));gap:22px 18px;
margin:18px 0}
.pairs{grid-template-columns:repeat(auto-fit,minmax(440px,1fr))}
@media(max-width:520px){.grid,.pairs{grid-template-columns:1fr}}
figure{margin:0;max-width:860px}
img{display:block;width:100%;height:auto;border-radius:8px;background:#181a1e}
figcaption{font-size:14px;margin-top:6px;line-height:1.4}
figcaption span{color:var(--soft)}
.bar{margin-top:8px}
.bar div{height:10px;border-radius:5px}
.bar p{display:flex;justify-content:space-between;margin:3px 0 0;font-size:12px;
color:var(--soft);font-variant-numeric:tabular-nums;max-width:none}
.scroll{overflow-x:auto;margin:14px 0}
table{border-collapse:collapse;width:100%;font-size:15px;font-variant-numeric:tabular-nums}
th,td{padding:8px 12px;border-bottom:1px solid var(--line);text-align:right}
th:first-child{text-align:left;padding-left:0}
tbody th{font-weight:400}
td.text{text-align:left}
thead th{font-size:13px;color:var(--soft);font-weight:600;vertical-align:bottom}
.chart{width:100%;height:auto;margin-top:8px}
.chart text{font-size:12px;fill:var(--soft)}
.chart polyline{fill:none;stroke-width:2;stroke-linejoin:round}
.chart .rule{stroke:var(--line)}
.line0{stroke:var(--accent)}.line1{stroke:var(--second)}
.chart .name0{fill:var(--accent)}.chart .name1{fill:var(--second)}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
"""
