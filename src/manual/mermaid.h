/* Mermaid flow charts: nodes, edges with their labels. Private to manual/. */
#ifndef MANUAL_MERMAID_H
#define MANUAL_MERMAID_H

#include "base/cx.h"

#define MERMAID_NODES_LIMIT 200
#define MERMAID_EDGES_LIMIT 600

struct mermaid_node {
	struct str key, text;
	bool is_decision;
	int line; /* of the chart's text, from 0 */
	int incoming;
};

struct mermaid_edge {
	size_t from, to;
	struct str label; /* "" without one */
	int line;
};

struct mermaid {
	struct mermaid_node nodes[MERMAID_NODES_LIMIT];
	size_t node_count;
	struct mermaid_edge edges[MERMAID_EDGES_LIMIT];
	size_t edge_count;
	int wrong_line;    /* where reading failed */
	const char *wrong; /* what was not understood; NULL when all was */
};

/* RC_INVALID with wrong and wrong_line set; RC_UNSUPPORTED when it is no flow chart. Slices point
 * into text. */
enum rc mermaid_read(struct cx *cx, struct str text, struct mermaid *out) NODISCARD;

#endif
