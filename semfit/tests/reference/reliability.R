# Reference values for tests/test_reliability.py. Run in this directory: Rscript reliability.R
# Data: 200 rows of `bfi` (package psych; SAPA project) with 4 % more missing values, punched by a
# fixed seed; and `attitude` (base R), which is complete.

library(psych)
data(bfi)
bfi <- bfi[1:200, c(paste0("A", 1:5), paste0("N", 1:5))]
set.seed(21)
for (name in names(bfi)) bfi[sample(200, 8), name] <- NA
bfi[c(11, 77), 1:5] <- NA       # two people without an answer on the first scale
write.csv(bfi, "reliability_bfi.csv", row.names = FALSE, na = "")
write.csv(attitude, "reliability_attitude.csv", row.names = FALSE)
save <- function(rows, name) {
  table <- if (is.data.frame(rows)) rows else do.call(rbind, rows)
  write.csv(table, paste0("reliability_", name, ".csv"), row.names = FALSE, na = "")
}

sets <- list(agreeableness = bfi[1:5], without_a1 = bfi[2:5], neuroticism = bfi[6:10],
             attitude = attitude, two_items = bfi[c("N1", "N2")])

alpha_row <- function(set, level = .95) {
  v <- sets[[set]]; used <- na.omit(v); n <- nrow(used); k <- ncol(v)
  a <- suppressWarnings(psych::alpha(used, warnings = FALSE))
  feldt <- psych::alpha.ci(a$total$raw_alpha, n.obs = n, n.var = k, p.val = 1 - level)
  empty <- sum(rowSums(!is.na(v)) == 0)
  data.frame(set = set, level = level, n_items = k, n_used = n, n_dropped = nrow(v) - n - empty,
             n_empty = empty, alpha = a$total$raw_alpha, alpha_standardized = a$total$std.alpha,
             ci_low = feldt$lower.ci, ci_high = feldt$upper.ci, mean_inter_item_r = a$total$average_r)
}
save(c(lapply(names(sets), alpha_row), lapply(names(sets), alpha_row, level = .9)), "alpha")

item_rows <- function(set) {
  used <- na.omit(sets[[set]])
  a <- suppressWarnings(psych::alpha(used, warnings = FALSE))
  s <- a$item.stats
  data.frame(set = set, item = names(used), n = s$n, mean = s$mean, sd = s$sd,
             min = sapply(used, min), max = sapply(used, max), item_rest_correlation = s$r.drop,
             item_total_correlation = s$raw.r,
             alpha_if_dropped = if (ncol(used) > 2) a$alpha.drop$raw_alpha else NA)
}
save(lapply(names(sets), item_rows), "items")

correlate <- function(v) do.call(rbind, apply(combn(names(v), 2), 2, function(pair) {
  test <- cor.test(v[[pair[1]]], v[[pair[2]]])
  data.frame(first = pair[1], second = pair[2], n = sum(complete.cases(v[pair])),
             correlation = test$estimate[[1]], ci_low = test$conf.int[1], ci_high = test$conf.int[2])
}, simplify = FALSE))
save(correlate(na.omit(bfi[1:5])), "inter_item")

score <- function(v, least) ifelse(rowSums(!is.na(v)) >= least, rowMeans(v, na.rm = TRUE), NA)
scales <- list(agreeable = c("A2", "A3", "A4"), worried = c("N1", "N2", "N3"), low = c("N4", "N5"))
scores <- data.frame(agreeable = score(bfi[scales$agreeable], 2),
                     worried = score(bfi[scales$worried], 3), low = score(bfi[scales$low], 1))
save(scores, "scores")           # least answered: half (2), 3 as asked for, half (1)

summary_row <- function(name) {
  v <- bfi[scales[[name]]]; used <- na.omit(v); s <- na.omit(scores[[name]])
  a <- suppressWarnings(psych::alpha(used, warnings = FALSE))
  empty <- sum(rowSums(!is.na(v)) == 0)
  ci <- psych::alpha.ci(a$total$raw_alpha, n.obs = nrow(used), n.var = ncol(v))
  data.frame(scale = name, n = length(s), mean = mean(s), sd = sd(s), n_items = ncol(v),
             n_used = nrow(used), n_dropped = nrow(v) - nrow(used) - empty, n_empty = empty,
             alpha = a$total$raw_alpha, alpha_standardized = a$total$std.alpha,
             ci_low = ci$lower.ci, ci_high = ci$upper.ci, mean_inter_item_r = a$total$average_r,
             min_item_rest_correlation = min(a$item.stats$r.drop),
             max_item_rest_correlation = max(a$item.stats$r.drop))
}
summary <- do.call(rbind, lapply(names(scales), summary_row))
save(summary, "scales")

alphas <- setNames(summary$alpha, summary$scale)
dimensions <- correlate(scores)
dimensions$correlation_disattenuated <-
  dimensions$correlation / sqrt(alphas[dimensions$first] * alphas[dimensions$second])
save(dimensions, "dimensions")

against <- function(item, own) {
  rest <- rowMeans(bfi[setdiff(scales[[own]], item)], na.rm = TRUE)
  rows <- do.call(rbind, lapply(names(scales), function(scale) {
    other <- if (scale == own) rest else scores[[scale]]
    data.frame(item = item, item_scale = own, scale = scale, is_own = scale == own,
               n = sum(complete.cases(bfi[[item]], other)),
               correlation = cor(bfi[[item]], other, use = "complete.obs"))
  }))
  rows$exceeds_own <- !rows$is_own & rows$correlation > rows$correlation[rows$is_own]
  rows
}
save(unlist(lapply(names(scales), function(own) lapply(scales[[own]], against, own)),
            recursive = FALSE), "item_dimensions")

writeLines(capture.output(sessionInfo()), "reliability_sessioninfo.txt")
