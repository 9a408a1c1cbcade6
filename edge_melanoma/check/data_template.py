"""The HTML of the page about data sets: jinja2, escaped by its environment."""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Data check</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border-bottom: 1px solid #ccc; padding: .25em .8em; text-align: left; }
td { vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.group { display: inline-flex; border: 1px solid #ddd; margin: 3px; padding: 3px; }
figure { margin: 2px; width: 112px; }
figure img { display: block; }
figcaption { font-size: 10px; line-height: 1.2; overflow-wrap: anywhere; }
svg { background: #f7f7f7; }
.benign { fill: #2b7bba; fill-opacity: .6; }
.malignant { fill: #c23b22; fill-opacity: .6; }
</style>
</head>
<body>
{% macro pictures(group) %}
<div class="group">
{% for picture in group %}
<figure><img src="{{ picture.address }}" alt="">
<figcaption>{{ picture.caption }}</figcaption></figure>
{% endfor %}
</div>
{% endmacro %}
<h1>Data check</h1>
<table>
<tr><th>set</th><th>benign</th><th>malignant</th><th>unreadable</th><th>given sides</th>
<th>most frequent sizes</th></tr>
{% for set in report.sets %}
<tr><td>{{ set.name }}</td><td class="number">{{ set.benign }}</td>
<td class="number">{{ set.malignant }}</td><td class="number">{{ set.unreadable }}</td>
<td>{% for side, counts in set.sides.items() %}
{{ side }}: {{ counts.benign }} benign, {{ counts.malignant }} malignant<br>
{% endfor %}</td>
<td>{% for width, height, count in set.sizes %}{{ width }}x{{ height }}: {{ count }}<br>
{% endfor %}</td></tr>
{% endfor %}
</table>
<table>
<tr><th>finding</th><th>number</th><th>what it is</th></tr>
<tr><td>Unreadable files</td><td class="number">{{ report.bad | length }}</td><td></td></tr>
{% for finding in findings %}
<tr><td>{{ finding.title }}</td><td class="number">{{ finding.count }}</td>
<td>{{ finding.meaning }}</td></tr>
{% endfor %}
<tr><td>Files to remove</td><td class="number">{{ removals | length }}</td>
<td>so that none of this is left but near duplicates on one side</td></tr>
</table>
<h2>Shortcuts</h2>
<p>How well a number that knows nothing of lesions separates the classes: AUC of five-fold
cross-validation, copies in one fold. .5 is chance; a network can use whatever is far above it.</p>
{% for set in report.sets %}
<h3>{{ set.name }}</h3>
{% if set.note %}<p>{{ set.note }}</p>{% endif %}
{% if set.shortcuts %}
<table>
<tr><th>statistic</th><th>AUC</th></tr>
{% for shortcut in set.shortcuts %}
<tr><td>{{ shortcut.feature }}</td><td class="number">{{ "%.3f" | format(shortcut.auc) }}</td></tr>
{% endfor %}
</table>
{% endif %}
{% for figure in figures[set.name] %}
<h4>{{ figure.feature }} (AUC {{ "%.3f" | format(figure.auc) }})</h4>
<svg width="480" height="120" viewBox="0 0 480 120" role="img">
{% for height in figure.benign_bins %}
<rect class="benign" x="{{ loop.index0 * 20 }}" y="{{ 120 - 116 * height }}" width="19"
 height="{{ 116 * height }}"/>
{% endfor %}
{% for height in figure.malignant_bins %}
<rect class="malignant" x="{{ loop.index0 * 20 }}" y="{{ 120 - 116 * height }}" width="19"
 height="{{ 116 * height }}"/>
{% endfor %}
</svg>
<p>From {{ "%.4g" | format(figure.low) }} to {{ "%.4g" | format(figure.high) }}; blue benign, red
malignant, each as shares of its class.</p>
<p>Most typical of benign:</p>{{ pictures(figure.benign) }}
<p>Most typical of malignant:</p>{{ pictures(figure.malignant) }}
{% endfor %}
{% endfor %}
{% for finding in findings if finding.count %}
<h2>{{ finding.title }}: {{ finding.count }}</h2>
{% if finding.count > groups_shown %}<p>The first {{ groups_shown }} are shown.</p>{% endif %}
{% for group in finding.groups %}{{ pictures(group) }}{% endfor %}
{% endfor %}
{% if report.bad %}
<h2>Unreadable files: {{ report.bad | length }}</h2>
<table>
{% for bad in report.bad %}<tr><td>{{ bad.image_id }}</td><td>{{ bad.reason }}</td></tr>
{% endfor %}
</table>
{% endif %}
</body>
</html>
"""
