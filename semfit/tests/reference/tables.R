# Quartiles, bins, and comparisons with Holm over several traits, by base R.
# From semfit/tests/reference: Rscript tables.R
bfi <- read.csv("reliability_bfi.csv")
bfi$total <- rowSums(bfi[paste0("A", 1:5)])
bfi$high <- as.integer(bfi$N1 > 3)
bfi$even <- seq_len(nrow(bfi)) %% 2
bfi$ratio <- bfi$total / (bfi$N1 + 1)
rows <- lapply(c("total", "ratio"), function(v) {
  x <- na.omit(bfi[[v]])[1:100]
  q <- quantile(x)
  data.frame(variable = v, n = length(x), mean = mean(x), min = q[[1]], q1 = q[[2]], median = q[[3]], q3 = q[[4]], max = q[[5]])
})
write.csv(do.call(rbind, rows), "tables_quartiles.csv", row.names = FALSE)
breaks <- seq(0, 40, 2)
h <- hist(na.omit(bfi$total), breaks = breaks, right = FALSE, include.lowest = FALSE, plot = FALSE)
kept <- data.frame(low = head(breaks, -1), high = tail(breaks, -1), n = h$counts)
write.csv(kept[cumsum(kept$n) > 0 & rev(cumsum(rev(kept$n))) > 0, ], "tables_bins.csv", row.names = FALSE)
pairs <- expand.grid(variable = c("A1", "total"), group = c("high", "even"), stringsAsFactors = FALSE)
p <- mapply(function(v, g) t.test(bfi[[v]] ~ bfi[[g]])$p.value, pairs$variable, pairs$group)
write.csv(cbind(pairs, p = p, p_holm = p.adjust(p, "holm")), "tables_groups.csv", row.names = FALSE)
writeLines(capture.output(sessionInfo()), "tables_sessionInfo.txt")
